"""Code that tells how it decides, beside doing what it does.

In: a function's syntax tree. Out: the same, with each decision handed through `__seen__(function, number, value)`,
which gives the value back: what is returned, what is asked by an `if`, each part of an `and` or `or`.

    Telling("Judge.accept").generic_visit(tree)
"""

import ast


class Telling(ast.NodeTransformer):
    """Has every decision of one function tell `__seen__` how it went."""

    def __init__(self, path: str) -> None:
        self._path, self._number = path, 0

    def told(self, value: ast.expr) -> ast.expr:
        self._number += 1
        words: list[ast.expr] = [ast.Constant(self._path), ast.Constant(self._number), value]
        return ast.Call(ast.Name("__seen__", ast.Load()), words, [])

    def visit_Return(self, node: ast.Return) -> ast.AST:
        self.generic_visit(node)
        return ast.Return(self.told(node.value)) if node.value else node

    def visit_If(self, node: ast.If) -> ast.AST:
        return self._test(node)

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self._test(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        return ast.BoolOp(node.op, [self.told(value) for value in node.values])

    def _test(self, node: ast.If | ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        node.test = self.told(node.test)
        return node

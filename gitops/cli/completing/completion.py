"""`toweros completion SHELL`: what makes a shell offer verbs, options and names.

In: the shell. Out: a script for it, on stdout. Rules: the script asks `toweros completion words`, which is quick and
never fails; what it gives is taken as words, and nothing in them is expanded or run.

    source <(toweros completion bash)
"""

import enum
import sys
from typing import Annotated

import typer

from gitops.errors import TowerosError

BASH = r"""# toweros completion bash
_toweros() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        if [[ $word == '*files*' ]]; then
            compopt -o default 2>/dev/null
            COMPREPLY=()
            return
        fi
        COMPREPLY+=("$word")
    done < <(command toweros completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _toweros toweros
"""
ZSH = r"""#compdef toweros
# toweros completion zsh
_toweros() {
    local -a offered
    offered=("${(@f)$(command toweros completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ ${offered[1]} == '*files*' ]]; then
        _files
    elif [[ -n ${offered[1]} ]]; then
        compadd -a offered
    fi
}
compdef _toweros toweros
"""
FISH = r"""# toweros completion fish
function __toweros_words
    set -l typed (commandline -opc) (commandline -ct)
    for word in (command toweros completion words -- $typed[2..-1] 2>/dev/null)
        if test "$word" = '*files*'
            __fish_complete_path (commandline -ct)
        else
            echo $word
        end
    end
end
complete -c toweros -f -a '(__toweros_words)'
"""


class Shell(enum.StrEnum):
    """A shell that we have a script for; `words` is for the scripts."""

    bash = "bash"
    zsh = "zsh"
    fish = "fish"
    words = "words"


SCRIPTS = {Shell.bash: BASH, Shell.zsh: ZSH, Shell.fish: FISH}


def register(app: typer.Typer) -> None:
    app.command(context_settings={"ignore_unknown_options": True})(completion)


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish", help="For which shell.")],
    words: Annotated[list[str] | None, typer.Argument(metavar="", hidden=True)] = None,
) -> None:
    """Print what makes a shell complete verbs, options and names: `source <(toweros completion bash)`."""
    if shell is Shell.words:
        from gitops.cli.completing.offered import offered

        sys.stdout.write("".join(f"{word}\n" for word in offered(words or [])))
        return
    if words:
        raise TowerosError("one shell at a time", hint="toweros completion bash|zsh|fish")
    sys.stdout.write(SCRIPTS[shell])

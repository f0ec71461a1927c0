"""A new root, signed in one place or in many.

draft       what the next root says, who has signed it, who has still to (pure but for the keys)
reading     root metadata as a file has it
rotation    the keys folder: a draft is made, signed with what is here, and taken when enough have signed
standing    whether the fleet repo names the newest root
"""

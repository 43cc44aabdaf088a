"""What the making of one letter works with, and what it notes down on the way.

Made by `shape` and `summary`, passed through the compiled functions of `projection` and
`transforms`. It lives as long as the making of one letter and holds values, so it has no repr and
is kept nowhere.
"""

from dispatcher.model.scope import Field, Scope
from dispatcher.stages.shaping.tokens import Tokens


class Draft:
    """The notes of one letter. `marks` has a byte for each field of the scope: 1 once disclosed.

    `raw` and `places` are the texts that leave as they are, and the number of the field of each.
    `dropped` are the numbers of fields of which a value was not what was granted. `wanted` are
    values whose tokens are not minted yet. `longest` is the length of the longest list or map.
    """

    __slots__ = ("dropped", "longest", "marks", "places", "raw", "scope", "tokens", "wanted")

    def __init__(self, scope: Scope, tokens: Tokens) -> None:
        self.scope = scope
        self.tokens = tokens
        self.marks = bytearray(len(scope.fields))
        self.raw: list[str] = []
        self.places: list[int] = []
        self.dropped: set[int] = set()
        self.wanted: set[tuple[str, str]] = set()
        self.longest = 0

    @property
    def disclosed(self) -> tuple[Field, ...]:
        """The fields of which something leaves; the scope's own tuple where that is all."""
        fields = self.scope.fields
        if all(self.marks):
            return fields
        return tuple(field for field, is_out in zip(fields, self.marks, strict=True) if is_out)

    @property
    def mistaken(self) -> tuple[Field, ...]:
        """The fields of which a value was dropped."""
        if not self.dropped:
            return ()
        return tuple(self.scope.fields[at] for at in sorted(self.dropped))

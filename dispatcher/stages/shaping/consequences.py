"""Do what the rules say about findings: let go, mask in place, or refuse the letter.

Called by `shape`, on the members of a letter that it has just built and that nobody else holds. A
detail names detectors and fields, never a value.
"""

from collections.abc import Callable, Iterable
from typing import Any

from dispatcher.model.leak import Detector, Finding, LeakAction
from dispatcher.model.path import SUBJECT, Path
from dispatcher.model.scope import Field, Scope
from dispatcher.model.verdict import Reason, Refusal
from dispatcher.stages.shaping.folding import write_number
from dispatcher.stages.shaping.guard import mask_text, spell

_Mask = Callable[[object], object]
_REASONS = {LeakAction.BLOCK: Reason.LEAK_BLOCKED, LeakAction.PARK: Reason.LEAK_SUSPECTED}


def act(findings: tuple[Finding, ...], members: dict[str, Any], scope: Scope) -> Refusal | None:
    """Mask what is to be masked; give the refusal where the letter may not leave."""
    for action, reason in _REASONS.items():
        found = [each for each in findings if each.action is action]
        if found:
            return _refuse(reason, found, findings)
    masked = [each for each in findings if each.action is LeakAction.MASK]
    for field in scope.fields if masked else ():
        detectors = {each.detector for each in masked if each.path == field.path}
        if detectors and not _hide(members, field.path, _mask_of(field, detectors)):
            return _refuse(Reason.LEAK_SUSPECTED, masked, findings)
    return None


def _refuse(reason: Reason, found: Iterable[Finding], findings: tuple[Finding, ...]) -> Refusal:
    return Refusal(reasons=(reason,), detail=spell(found), findings=findings)


def _mask_of(field: Field, detectors: set[Detector]) -> _Mask:
    def mask(value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return value
        text = value if isinstance(value, str) else write_number(value)
        masked = mask_text(field, text, detectors)
        return value if masked == text else masked

    return mask


def _hide(members: dict[str, Any], path: Path, mask: _Mask) -> bool:
    """Mask every value at a path; `False` where it is the name of a map's entry.

    Two names could become one, and an entry be lost.
    """
    if path == SUBJECT:
        path = Path(("subject",) if "subject" in members else ("subjects", None))
        nodes: list[Any] = [members]
    else:
        nodes = [members.get("data")]
    *way, last = path
    for step in way:
        if step is None and not _are_names_clean(nodes, mask):
            return False
        nodes = [inner for node in nodes for inner in _inner(node, step)]
    if last is None and not _are_names_clean(nodes, mask):
        return False
    for node in nodes:
        _mask_inner(node, last, mask)
    return True


def _are_names_clean(nodes: Iterable[Any], mask: _Mask) -> bool:
    return all(mask(name) == name for node in nodes if isinstance(node, dict) for name in node)


def _inner(node: Any, step: str | None) -> Iterable[Any]:
    if isinstance(node, dict):
        return node.values() if step is None else [node[step]] if step in node else []
    return node if step is None and isinstance(node, list) else []


def _mask_inner(node: Any, step: str | None, mask: _Mask) -> None:
    if isinstance(node, list) and step is None:
        node[:] = [mask(value) for value in node]
    elif isinstance(node, dict):
        for name in list(node) if step is None else [step] if step in node else []:
            node[name] = mask(node[name])

"""Reads the files of group_data folders and says whom each applies to."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from stellwerk.settings import python_files
from stellwerk.settings.errors import SettingsError, nearest
from stellwerk.settings.layers import Layer
from stellwerk.settings.schema import root

EVERYONE = "all"


@dataclass
class GroupData:
    """Layers by what they apply to, in the order they were read, and what was wrong."""

    sections: list[Layer] = field(default_factory=list)
    everyone: list[Layer] = field(default_factory=list)
    by_name: dict[str, list[Layer]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read(folders: Iterable[Path], names: Collection[str]) -> GroupData:
    """Read all files in `folders`. `names` are the groups and hosts a file may be named after."""
    result = GroupData()
    for folder in folders:
        if not folder.is_dir():
            result.problems.append(f"{folder}: there is no such folder of group data")
            continue
        for path in sorted(folder.glob("*.py")):
            if not path.name.startswith("_"):
                _add(result, path, names)
    return result


def _add(result: GroupData, path: Path, names: Collection[str]) -> None:
    name = path.stem
    sections = root().fields
    if name not in sections and name not in names and name != EVERYONE:
        meant = nearest(name, [*sections, *names, EVERYONE])
        hint = f"; did you mean {meant}?" if meant else ""
        result.problems.append(f"{path}: matches no settings section, group or host{hint}")
        return
    try:
        file = python_files.read(path)
    except SettingsError as error:
        result.problems.extend(error.sentences)
        return
    layer = Layer(str(path), file.variables, file.lines)
    if name in sections:
        result.problems.extend(_foreign(layer, name))
        own = {key: value for key, value in file.variables.items() if key == name}
        result.sections.append(Layer(layer.source, own, layer.lines))
    elif name == EVERYONE:
        result.everyone.append(layer)
    else:
        result.by_name.setdefault(name, []).append(layer)


def _foreign(layer: Layer, section: str) -> Iterator[str]:
    for name in layer.values:
        if name != section:
            yield layer.sentence(
                (name,),
                f"a file named after a section sets only {section};"
                " helper variables start with an underscore",
            )

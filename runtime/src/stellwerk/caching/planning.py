"""What an invalidation has to delete, worked out from the declared layers. No I/O here."""

from collections.abc import Callable, Iterable, Mapping

from stellwerk.caching import names
from stellwerk.caching.globs import Extent, coverage
from stellwerk.caching.keys import escaped
from stellwerk.caching.layers import Declaration, Layers, Location
from stellwerk.caching.storage import Place, Plan


def place(declaration: Declaration, location: Location) -> Place:
    """Where and under which stamps an entry of this layer stands."""
    (key, entity), name, stamp = location, declaration.name, declaration.stamp
    stamps = (stamp, f"{stamp}:{entity}") if entity else (stamp,)
    return Place(key, stamps, declaration.guard, name, declaration.budget)


def placing(declaration: Declaration) -> Callable[[Mapping[str, object]], Place]:
    """What finds the place of an entry by its fields. Raises as Declaration.locate.

    It is on the way of every read, so what is the same for all entries is worked out before.
    """

    def looked_up(fields: Mapping[str, object]) -> Place:
        return place(declaration, declaration.locate(fields))

    if declaration.siblings or declaration.has_hash:
        return looked_up
    head, steps, name = declaration.pattern.head, declaration.pattern.steps, declaration.name
    stamp, guard, budget = declaration.stamp, declaration.guard, declaration.budget
    count, shared, alone = len(steps), len(steps) > 1, (stamp,)

    def put_together(fields: Mapping[str, object]) -> Place:
        key, entity = head, ""
        try:
            for field, after in steps:
                spelled = escaped(fields[field])
                entity = entity or spelled
                key += spelled + after
        except KeyError:
            return looked_up(fields)  # which says what is missing
        if len(fields) != count:
            return looked_up(fields)
        stamps = (stamp, f"{stamp}:{entity}") if shared else alone
        return Place(key, stamps, guard, name, budget)

    return put_together


def place_of_key(declaration: Declaration, key: str) -> Place:
    """The same for a key that is of this layer."""
    shared = declaration.entity_field is not None
    entity = declaration.pattern.first_field(key) if shared else None
    return place(declaration, Location(key, entity or ""))


def plan(layers: Layers, patterns: Iterable[str]) -> Plan:
    """What these patterns name. Whole layers and entities lose a stamp, single entries are
    deleted, and only for what is neither must the keys be looked for.
    """
    parts = [
        _part(pattern, declaration)
        for pattern in dict.fromkeys(patterns)
        for declaration in layers.all
    ]
    return merged(parts)


def layer_plan(declaration: Declaration) -> Plan:
    """All entries of a layer."""
    return Plan(stamps=(names.stamp(declaration.name),))


def merged(plans: Iterable[Plan]) -> Plan:
    """All of several plans, nothing twice."""
    plans = list(plans)
    return Plan(
        stamps=tuple(dict.fromkeys(stamp for plan in plans for stamp in plan.stamps)),
        places=tuple(dict.fromkeys(place for plan in plans for place in plan.places)),
        tags=tuple(dict.fromkeys(tag for plan in plans for tag in plan.tags)),
        scans=tuple(dict.fromkeys(scan for plan in plans for scan in plan.scans)),
        drops=tuple(dict.fromkeys(drop for plan in plans for drop in plan.drops)),
    )


def without_looking(plan: Plan) -> Plan:
    """A plan that covers as much or more, and needs no look for keys."""
    return Plan(stamps=(*plan.stamps, *plan.drops), places=plan.places, tags=plan.tags)


def _part(pattern: str, declaration: Declaration) -> Plan:
    found = coverage(pattern, declaration.pattern, declaration.siblings)
    match found.extent:
        case Extent.NOTHING:
            return Plan()
        case Extent.LAYER:
            return layer_plan(declaration)
        case Extent.KEY:
            return Plan(places=(place_of_key(declaration, found.value),))
        case Extent.ENTITY if declaration.entity_field is not None:
            return Plan(stamps=(names.stamp(declaration.name, found.value),))
        case Extent.ENTITY:
            key = declaration.pattern.spelled({declaration.pattern.fields[0]: found.value})
            return Plan(places=(place_of_key(declaration, key),))
    return Plan(
        stamps=(names.guard(declaration.name),),
        scans=(pattern,),
        drops=(names.stamp(declaration.name),),
    )

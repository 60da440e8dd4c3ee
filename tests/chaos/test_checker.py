"""The checker itself: a history without a fault passes, and with each kind of violation put into it that one is named, and no other."""

import copy

import pytest

from checker import KINDS, check
from history import GAP_COLLAPSED, GAP_OTHER_DEVICE, GAP_STORE_RESTARTED, INBOX, NEWS, History, Tail, Writer
from report import story

E = 77  # an epoch


def push(t, device, seq, n, handed=1, stream=INBOX, epoch=E):
    return ["push", t, device, stream, epoch, seq, f"id{n}", n, handed]


def good():
    """Two users, the second with two devices; a unicast, a push to many, one to a device, a broadcast and a durable one."""
    devices = {"a": "ann", "b1": "bob", "b2": "bob"}
    pushes = [
        ["try", 1.0, 1, "user", "stored", ["ann"]], ["ok", 1.1, 1, "id1", 1],
        ["try", 2.0, 2, "users", "stored", ["ann", "bob"]], ["unknown", 2.1, 2, "no answer"], ["ok", 2.2, 2, "id2", None],
        ["try", 3.0, 3, "devices", "stored", ["b1"]], ["ok", 3.1, 3, "id3", None],
        ["try", 4.0, 4, "all", "stored", []], ["ok", 4.1, 4, "id4", 9],
        ["try", 5.0, 5, "user", "durable", ["ann"]], ["ok", 5.1, 5, "id5", 3],
        ["try", 6.0, 6, "user", "stored", ["ann"]], ["no", 6.1, 6, 503],
    ]
    login = [[INBOX, E, 0], [NEWS, E, 8]]
    events = [
        *(["login", 0.1, d, "room0", False, 1, login] for d in devices), *(["synced", 0.2, d, login] for d in devices),
        push(1.2, "a", 1, 1), push(2.3, "a", 2, 2), push(2.4, "a", 2, 2, handed=0), push(5.2, "a", 3, 5),
        push(2.3, "b1", 1, 2), push(3.2, "b1", 2, 3), push(2.3, "b2", 1, 2), ["gap", 3.2, "b2", INBOX, E, 2, 2, GAP_OTHER_DEVICE],
        *(push(4.2, d, 9, 4, stream=NEWS) for d in devices),
    ]
    return devices, pushes, events


def made(devices, pushes, events, losses=(), forgets=()):
    history = History(devices, [("kill:room", 2.0, 3.0)], losses, forgets)
    for event in pushes:
        history.add_push(event)
    for event in events:
        history.add_device(event)
    return history


def named(devices, pushes, events, losses=(), forgets=()):
    history = made(devices, pushes, events, losses, forgets)
    verdict = check(history)
    for v in verdict.violations:
        text = story(history, v, "/logs")
        assert v.kind in text and v.device in text and "/logs" in text
    return {kind: count for kind, count in verdict.counts().items() if count}


def without(events, wanted):
    return [e for e in events if not wanted(e)]


def is_push_of(n, device):
    return lambda e: e[0] == "push" and e[7] == n and e[2] == device


def test_a_history_without_a_fault():
    history = made(*good())
    verdict = check(history)
    assert not verdict.violations, [v.what for v in verdict.violations]
    assert verdict.line(3) == ("attempted 6, accepted 5, delivered 9, lost 0, duplicated 0, reordered 0, unexpected 0, unreported gap 0, faults 3")


@pytest.mark.parametrize("device", ["a", "b1", "b2"])
def test_lost(device):
    devices, pushes, events = good()
    assert named(devices, pushes, without(events, is_push_of(4, device))) == {"lost": 1}


def test_lost_behind_a_gap_that_nothing_explains():
    devices, pushes, events = good()
    events = [["gap", 5.2, "a", INBOX, E, 3, 3, GAP_STORE_RESTARTED] if is_push_of(5, "a")(e) else e for e in events]
    assert named(devices, pushes, events) == {"lost": 1}


def test_durable_is_lost_whatever_was_done_to_redis():
    devices, pushes, events = good()
    events = [["gap", 5.2, "a", INBOX, E, 3, 3, GAP_STORE_RESTARTED] if is_push_of(5, "a")(e) else e for e in events]
    assert named(devices, pushes, events, losses=[(0.0, 9.0)]) == {"lost": 1}


def test_what_redis_forgot_is_announced():
    devices, pushes, events = good()
    forgotten = without(events, is_push_of(4, "a")) + [["gap", 8.0, "a", NEWS, E, 9, 1 << 40, GAP_STORE_RESTARTED]]
    assert named(devices, pushes, forgotten, losses=[(3.9, 4.5)]) == {}
    forgotten = without(events, is_push_of(4, "a")) + [["reset", 8.0, "a", NEWS, E + 1, 0, "another log"]]
    assert named(devices, pushes, forgotten, losses=[(3.9, 4.5)]) == {}


@pytest.mark.parametrize("told", [[], [["gap", 8.0, "a", NEWS, E, 10, 1 << 40, GAP_STORE_RESTARTED]], [["reset", 3.0, "a", NEWS, E, 8, "before it"]]])
def test_what_redis_forgot_in_silence(told):
    devices, pushes, events = good()
    events = sorted(without(events, is_push_of(4, "a")) + told, key=lambda e: e[1])
    assert named(devices, pushes, events, losses=[(3.9, 4.5)]) == {"unreported gap": 1}


def test_forgotten_when_nothing_was_done():
    devices, pushes, events = good()
    forgotten = without(events, is_push_of(4, "a")) + [["gap", 8.0, "a", NEWS, E, 9, 1 << 40, GAP_STORE_RESTARTED]]
    assert named(devices, pushes, forgotten, losses=[(4.3, 5.0)]) == {"lost": 1}
    assert named(devices, pushes, forgotten, losses=[(0.0, 3.9)]) == {"lost": 1}


def test_a_device_that_the_store_forgot():
    """Its sibling was there first, and what that one handled has left; only until the device is known again, and only if it is told."""
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["bob"]], ["ok", 8.1, 8, "id8", 900]]
    jump = ["gap", 8.2, "b1", INBOX, E, 3, 899, GAP_STORE_RESTARTED]
    events = [*events, jump, push(8.2, "b1", 900, 8)]
    known = [["gap", 8.3, "b2", INBOX, E, 3, 899, GAP_STORE_RESTARTED], ["gap", 8.3, "b2", INBOX, E, 900, 900, 0]]
    assert named(devices, pushes, [*events, *known], forgets=[7.5]) == {}
    assert named(devices, pushes, [*events, *known]) == {"lost": 1}
    assert named(devices, pushes, [*events, *known], forgets=[8.15]) == {"lost": 1}
    assert named(devices, pushes, [*events, known[0]], forgets=[7.5]) == {"lost": 1}
    earlier = [[*known[0][:1], 7.9, *known[0][2:]], known[1]]
    assert named(devices, pushes, [*events, *earlier], forgets=[7.5]) == {"lost": 1}


def collapsing(told=True, handed=True, first=7.5):
    """Ann's device does not get #7, which has a collapse key, and gets #8, with the same one, in its place."""
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 7.0, 7, "user", "durable", ["ann"], "k"], ["ok", 7.1, 7, "id7", 4],
              ["try", first, 8, "user", "stored", ["ann"], "k"], ["ok", first + 0.1, 8, "id8", 5]]
    gap = [["gap", 8.0, "a", INBOX, E, 4, 4, GAP_COLLAPSED]] if told else [["synced", 8.0, "a", [[INBOX, E, 4]]]]
    return devices, pushes, [*events, *gap, *([push(8.1, "a", 5, 8)] if handed else [])]


def test_replaced_by_its_collapse_key():
    history = made(*collapsing())
    verdict = check(history)
    assert not verdict.violations and verdict.collapsed == 1, [v.what for v in verdict.violations]


def test_replaced_in_silence():
    assert named(*collapsing(told=False)) == {"unreported gap": 1}


def test_replaced_by_what_is_lost():
    assert named(*collapsing(handed=False)) == {"lost": 2}


def test_replaced_by_what_was_there_before():
    devices, pushes, events = collapsing(first=6.5)
    assert "lost" in named(devices, pushes, events)
    other_key = [[*e[:6], "other"] if e[:3:2] == ["try", 8] else e for e in collapsing()[1]]
    assert named(devices, other_key, events) == {"lost": 1}


def test_news_that_begin_anew():
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "all", "stored", []], ["ok", 8.1, 8, "id8", 1]]
    resets = [["reset", 8.2, d, NEWS, E + 1, 1, "another log"] for d in devices]
    assert named(devices, pushes, [*events, *resets], forgets=[7.5]) == {}
    assert named(devices, pushes, [*events, *resets[1:]], forgets=[7.5]) == {"lost": 1}
    assert named(devices, pushes, [*events, *[[*r[:1], 7.9, *r[2:]] for r in resets]], forgets=[7.5]) == {"lost": 3}


def test_duplicated():
    devices, pushes, events = good()
    assert named(devices, pushes, [*events, push(7.0, "a", 4, 1)]) == {"duplicated": 1, "reordered": 1}
    assert named(devices, pushes, [*events, push(7.0, "a", 4, 5)]) == {"duplicated": 1}


def test_known_by_its_id_under_a_new_seq():
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["ann"]], ["ok", 8.1, 8, "id8", 5]]
    assert named(devices, pushes, [*events, push(7.0, "a", 4, 5, handed=0), push(8.2, "a", 5, 8)]) == {}


def test_reordered():
    devices, pushes, events = good()
    swapped = without(events, lambda e: e[0] == "push" and e[2] == "a" and e[3] == INBOX)
    assert named(devices, pushes, [*swapped, push(7.0, "a", 1, 2), push(7.1, "a", 2, 1), push(7.2, "a", 3, 5)]) == {"reordered": 1}
    behind = without(events, is_push_of(1, "a")) + [push(7.0, "a", 1, 1)]
    assert named(devices, pushes, behind) == {"reordered": 1, "unreported gap": 1}


def test_sent_too_late_to_be_handed_on():
    devices, pushes, events = good()
    late = [["gap", 1.2, "a", INBOX, E, 1, 1, 1] if is_push_of(1, "a")(e) else e for e in events] + [push(7.0, "a", 1, 1, handed=0)]
    assert named(devices, pushes, late) == {"lost": 1, "reordered": 1}


@pytest.mark.parametrize("event", [
    push(7.0, "a", 4, 99), push(7.0, "a", 4, 6), push(7.0, "b2", 3, 3), push(7.0, "b1", 3, 1), push(7.0, "b1", 10, 2, stream=NEWS),
    ["push", 7.0, "a", INBOX, E, 4, "id9", 5, 1], ["push", 7.0, "a", INBOX, E, 3, "id1", 1, 0]])
def test_unexpected(event):
    """Never pushed; refused; for another device; for another user; in another stream; under another id; under a seq that another has."""
    devices, pushes, events = good()
    assert named(devices, pushes, [*events, event]) == {"unexpected": 1}


def test_refused_after_an_unknown_outcome_may_come():
    devices, pushes, events = good()
    pushes = [*pushes[:-1], ["unknown", 6.05, 6, "no answer"], pushes[-1]]
    assert named(devices, pushes, [*events, push(7.0, "a", 4, 6)]) == {}


def test_unreported_gap():
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["ann"]], ["ok", 8.1, 8, "id8", 5]]
    assert named(devices, pushes, [*events, push(8.2, "a", 5, 8)]) == {"unreported gap": 1}
    assert named(devices, pushes, [*events, push(8.2, "a", 4, 8, epoch=E + 1)]) == {"unreported gap": 1}
    seen = [["hole", 8.2, "a", INBOX, E, 5, 3], ["gap", 8.3, "a", INBOX, E, 4, 4, 0], push(8.4, "a", 5, 8)]
    assert named(devices, pushes, [*events, *seen]) == {"unreported gap": 1}
    assert named(devices, pushes, [*events, ["gap", 8.2, "a", INBOX, E, 5, 5, 0]]) == {"lost": 1, "unreported gap": 1}


def test_synced_moves_the_position_and_announces_nothing():
    devices, pushes, events = good()
    events = [["synced", 5.2, "a", [[INBOX, E, 3]]] if is_push_of(5, "a")(e) else e for e in events]
    assert named(devices, pushes, events) == {"lost": 1}
    assert named(devices, pushes, events, losses=[(0.0, 9.0)]) == {"lost": 1}


    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["ann"]], ["ok", 8.1, 8, "id8", 4]]
    assert named(devices, pushes, [*events, push(8.2, "a", 4, 8)]) == {"lost": 1}, "the next seq follows what Synced said"


def test_what_is_durable_may_be_appended_anew():
    """Then it stands behind what was pushed after it; only if Redis was made to forget it."""
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["ann"]], ["ok", 8.1, 8, "id8", 3]]
    events = [*without(events, is_push_of(5, "a")), push(8.2, "a", 3, 8), push(8.3, "a", 4, 5)]
    assert named(devices, pushes, events) == {"reordered": 1}
    assert named(devices, pushes, events, losses=[(5.0, 7.0)]) == {}


def test_a_user_of_one_device_loses_nothing_to_a_sibling():
    devices, pushes, events = good()
    pushes = [*pushes, ["try", 8.0, 8, "user", "stored", ["ann"]], ["ok", 8.1, 8, "id8", 900]]
    told = [["gap", 8.2, "a", INBOX, E, 4, 899, GAP_STORE_RESTARTED], ["gap", 8.3, "a", INBOX, E, 900, 900, 0]]
    assert named(devices, pushes, [*events, *told], forgets=[7.5]) == {"lost": 1}


def test_every_kind_has_its_test():
    seen = set()
    devices, pushes, events = good()
    for spoiled in ([], [*events, push(7.0, "a", 4, 5)], [*events, push(7.0, "a", 4, 99)], [*events, ["hole", 8.2, "a", INBOX, E, 5, 3]],
                    [*events, push(7.0, "a", 1, 1)]):
        seen |= set(named(devices, copy.deepcopy(pushes), spoiled))
    assert seen == set(KINDS)


def test_a_history_is_read_as_it_grows(tmp_path):
    """Whole lines only: the last one may be half written."""
    path = tmp_path / "h"
    tail = Tail(path)
    assert tail.read() == []
    writer = Writer(path)
    writer("ok", 1.5, 7, "id", None)
    writer.flush()
    with open(path, "a") as f:
        f.write('["ok",')
    assert tail.read() == [["ok", 1.5, 7, "id", None]]
    with open(path, "a") as f:
        f.write("2]\n")
    assert tail.read() == [["ok", 2]]

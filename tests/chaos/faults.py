"""The fault points, by name. Each is a generator: what stands before its `yield` breaks something, the value is how long it stays so, what
follows mends it. Between two of them the run waits until all daemons say that they are well.

A fault that makes Redis forget says so by `bed.losses`: what was accepted between two moments may be missing afterwards, and must be announced.
"""

import contextlib
import resource
import signal
import time

import pymysql
from stores import ADDRESS

ROLES = ("register", "saver", "room", "center", "dispatcher", "coordinator")
FAULTS = {}
# What these find is known, and not mended (README.md beside this); they are done when they are named.
OPEN = ("redis:flushall", "going-back:kill-saver", "going-back:kill-center")
SHORT_S, LONG_S = 2.0, 5.0


def fault(name, function, *arguments):
    assert name not in FAULTS, name
    FAULTS[name] = lambda bed, chosen: function(bed, chosen, *arguments)


# --- daemons


def kill(bed, chosen, role):
    daemon = chosen.choice(bed.of(role))
    daemon.kill()
    yield chosen.uniform(0.1, SHORT_S)
    daemon.start()


def kill_all(bed, chosen, role):
    for daemon in bed.of(role):
        daemon.kill()
    yield chosen.uniform(0.1, SHORT_S)
    for daemon in bed.of(role):
        daemon.start()


def kill_often(bed, chosen, role):
    """As a daemon that does not come up at first."""
    daemon = chosen.choice(bed.of(role))
    for _ in range(4):
        daemon.kill()
        daemon.start()
        time.sleep(chosen.uniform(0.05, 0.6))
    yield 0


def freeze(bed, chosen, role, least, most):
    daemon = chosen.choice(bed.of(role))
    daemon.freeze()
    yield chosen.uniform(least, most)
    daemon.thaw()


def restart(bed, chosen, role):
    daemon = chosen.choice(bed.of(role))
    daemon.terminate()
    yield chosen.uniform(0.0, 1.0)
    daemon.start()


for each in ROLES:
    fault(f"kill:{each}", kill, each)
    fault(f"freeze:{each}", freeze, each, 1.0, LONG_S)
    fault(f"term:{each}", restart, each)
for each in ROLES[:5]:
    fault(f"kill-all:{each}", kill_all, each)
for each in ("register", "saver", "room", "center"):
    fault(f"kill-often:{each}", kill_often, each)
for each in ("register", "saver", "room"):
    fault(f"freeze-long:{each}", freeze, each, 13, 13)  # a lease is 10 s


# --- the network


def places_of(bed, what):
    if what == "redis":
        return [s.place for s in bed.redis.servers()]
    if what in ("mariadb", "clients", "pusher"):
        return [bed.place(what)]
    return [d.place for d in bed.of(what)]


def ips_of(bed, what):
    return [p.ip for p in places_of(bed, what)] + ([ADDRESS] if what == "redis" else [])


@contextlib.contextmanager
def healed(*places):
    try:
        yield
    finally:
        for place in places:
            place.heal()


def cut(bed, chosen, here, there, ways):
    """One of `here` and all of `there` do not hear each other, or one does not hear the other."""
    place = chosen.choice(places_of(bed, here))
    others = [ip for ip in ips_of(bed, there) if ip != place.ip]
    with healed(place):
        if ways in ("both", "in"):
            place.deafen(*others)
        if ways in ("both", "out"):
            place.mute(*others)
        yield chosen.uniform(SHORT_S, 2 * LONG_S)


def isolate(bed, chosen, what):
    place = chosen.choice(places_of(bed, what))
    with healed(place):
        place.alone()
        yield chosen.uniform(SHORT_S, 2 * LONG_S)


def lose(bed, chosen, what, share):
    places = places_of(bed, what)
    with healed(*places):
        for place in places:
            place.lose(share)
        yield LONG_S


def slow(bed, chosen, what, rate):
    place = chosen.choice(places_of(bed, what))
    with healed(place):
        place.slow(rate)
        yield LONG_S


PAIRS = (("room", "register"), ("room", "saver"), ("center", "register"), ("center", "saver"), ("center", "room"), ("saver", "redis"),
         ("register", "redis"), ("saver", "mariadb"), ("room", "clients"), ("center", "pusher"))
for one, other in PAIRS:
    fault(f"cut:{one}-{other}", cut, one, other, "both")
for one, other in PAIRS[:9]:
    fault(f"deaf:{one}-{other}", cut, one, other, "in")
    fault(f"mute:{one}-{other}", cut, one, other, "out")
for each in ("register", "saver", "room", "center"):
    fault(f"alone:{each}", isolate, each)
for each in ("room", "saver", "register", "redis", "mariadb", "clients"):
    fault(f"loss:{each}", lose, each, 0.1)
for each, its_rate in (("room", "1mbit"), ("redis", "4mbit"), ("saver", "2mbit"), ("mariadb", "1mbit")):
    fault(f"slow:{each}", slow, each, its_rate)


# --- what a machine has too little of


def cap_descriptors(bed, chosen, role):
    """Not one more than it has."""
    daemon = chosen.choice(bed.of(role))
    pid = daemon.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
    yield LONG_S
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def fill_redis(bed, chosen):
    bed.redis.first.fill_disk()
    yield LONG_S
    bed.redis.first.free_disk()


def fill_mariadb(bed, chosen):
    bed.maria.fill_disk()
    yield LONG_S
    bed.maria.free_disk()


def cap_memory(bed, chosen):
    client = bed.redis.first.client
    client.config_set("maxmemory", 1)
    yield LONG_S
    client.config_set("maxmemory", 0)


for each in ("room", "center", "saver", "register"):
    fault(f"descriptors:{each}", cap_descriptors, each)
fault("disk:redis", fill_redis)
fault("disk:mariadb", fill_mariadb)
fault("memory:redis", cap_memory)


# --- Redis


@contextlib.contextmanager
def readers_stalled(bed, chosen):
    """Half of the times nobody reads meanwhile: then much has been accepted and not delivered when Redis forgets it."""
    is_stalled = chosen.random() < 0.5
    if is_stalled:
        bed.order("stall")
    try:
        yield
    finally:
        if is_stalled:
            bed.order("go")


def forgetting(function):
    """A fault that makes Redis forget."""
    def steps(bed, chosen, *arguments):
        with readers_stalled(bed, chosen):
            yield from function(bed, chosen, *arguments)
    return steps


def kill_redis(bed, chosen):
    bed.redis.first.kill()
    yield chosen.uniform(0.1, SHORT_S)
    bed.redis.first.start()


def restart_redis(bed, chosen):
    bed.redis.first.process.terminate()
    bed.redis.first.process.wait(60)
    yield 0.5
    bed.redis.first.start()


def freeze_redis(bed, chosen):
    bed.redis.first.signal(signal.SIGSTOP)
    yield LONG_S
    bed.redis.first.signal(signal.SIGCONT)


@forgetting
def fail_over(bed, chosen, tail_s):
    """The primary dies, and its replica follows it; `tail_s` is how much of the end the replica never heard."""
    pair = bed.redis
    pair.wait_in_step()
    begin = time.monotonic() - 1  # what was on its way to the replica
    with healed(pair.second.place):
        if tail_s:
            pair.second.place.deafen(pair.first.place.ip)
            time.sleep(tail_s)
        pair.first.kill()
        end = time.monotonic()
        bed.losses.append((begin, end))
        yield 0.3
    pair.fail_over()
    pair.second.start()
    pair.second.follow(pair.first)
    pair.wait_in_step()


@forgetting
def there_and_back(bed, chosen):
    """The replica, which misses a tail, takes over while the first one lives; both take appends; and the first one is the primary again, under
    its own run id."""
    pair = bed.redis
    pair.wait_in_step()
    begin = time.monotonic() - 1
    with healed(pair.second.place):
        pair.second.place.deafen(pair.first.place.ip)
        time.sleep(1.5)
        pair.fail_over()
        yield SHORT_S
    pair.second.follow(pair.first)
    bed.losses.append((begin, time.monotonic()))
    pair.wait_in_step()
    begin = time.monotonic() - 1
    pair.fail_over()
    pair.second.follow(pair.first)
    bed.losses.append((begin, time.monotonic()))
    pair.wait_in_step()


def delete_all_keys(bed):
    bed.forgets.append(time.monotonic())
    bed.redis.first.client.flushall()
    bed.losses.append((0, time.monotonic()))


@forgetting
def flush(bed, chosen):
    time.sleep(1.0)
    delete_all_keys(bed)
    yield 0


@forgetting
def go_back_to_old_aof(bed, chosen):
    """As a backup that is put back."""
    server = bed.redis.first
    begin = time.monotonic() - 1
    server.copy_aof()
    time.sleep(SHORT_S)
    server.kill()
    bed.losses.append((begin, time.monotonic()))
    yield 0.3
    server.start_from_copy()


fault("redis:kill", kill_redis)
fault("redis:term", restart_redis)
fault("redis:freeze", freeze_redis)
fault("redis:failover", fail_over, 0)
fault("redis:failover-tail", fail_over, 1.5)
fault("redis:there-and-back", there_and_back)
fault("redis:flushall", flush)
fault("redis:old-aof", go_back_to_old_aof)


# --- MariaDB


def kill_mariadb(bed, chosen):
    bed.maria.kill()
    yield chosen.uniform(0.1, SHORT_S)
    bed.maria.start()


def restart_mariadb(bed, chosen):
    bed.maria.process.terminate()
    bed.maria.process.wait(60)
    yield chosen.uniform(0.5, LONG_S)
    bed.maria.start()


def freeze_mariadb(bed, chosen):
    bed.maria.freeze()
    yield LONG_S
    bed.maria.signal(signal.SIGCONT)


def mariadb_read_only(bed, chosen):
    bed.maria.sql("SET GLOBAL read_only = 1")
    yield LONG_S
    bed.maria.sql("SET GLOBAL read_only = 0")


def kill_both_stores(bed, chosen):
    bed.redis.first.kill()
    bed.maria.kill()
    yield 0.5
    bed.maria.start()
    bed.redis.first.start()


fault("mariadb:kill", kill_mariadb)
fault("mariadb:term", restart_mariadb)
fault("mariadb:freeze", freeze_mariadb)
fault("mariadb:read-only", mariadb_read_only)
fault("stores:kill", kill_both_stores)


# --- clocks


def step_clock(bed, chosen, role, seconds):
    """One daemon's clock is stepped while it runs, and stepped back; it is started anew before, to have a clock of its own, and afterwards."""
    daemon = chosen.choice(bed.of(role))
    daemon.terminate()
    daemon.start(own_clock=True)
    bed.wait_healthy()
    daemon.step_clock(seconds)
    yield LONG_S
    daemon.step_clock(0)
    time.sleep(1)
    daemon.terminate()
    daemon.start()


for each in ("room", "saver", "register", "center"):
    fault(f"clock:{each}+", step_clock, each, 45)
    fault(f"clock:{each}-", step_clock, each, -45)


# --- a daemon dies at a step of a message's way


def kill_while_landing(bed, chosen, role):
    """MariaDB has the statement, and has not answered."""
    daemon = chosen.choice(bed.of(role))
    bed.maria.freeze()
    time.sleep(0.5)
    daemon.kill()
    yield 0.3
    bed.maria.signal(signal.SIGCONT)
    daemon.start()


def kill_while_appending(bed, chosen, role):
    """Rows are landed, and their appends lie before a Redis that stands still."""
    daemon = chosen.choice(bed.of(role))
    bed.redis.first.signal(signal.SIGSTOP)
    deadline = time.monotonic() + 2
    while not bed.maria.unmarked() and time.monotonic() < deadline:
        time.sleep(0.01)
    daemon.kill()
    yield 0.3
    bed.redis.first.signal(signal.SIGCONT)
    daemon.start()


def kill_while_marking(bed, chosen, role):
    """Appended, and their seqs cannot be written into MariaDB."""
    daemons = bed.of(role)
    try:
        session = bed.maria.lock()
    except pymysql.MySQLError:
        return
    try:
        time.sleep(0.5)
        for daemon in daemons:
            daemon.kill()
        yield 0.2
    finally:
        session.close()
    for daemon in daemons:
        daemon.start()


def kill_redis_while_marking(bed, chosen):
    """Appended and not marked, and then Redis goes back to before it."""
    session = bed.maria.lock()
    try:
        yield from go_back_to_old_aof(bed, chosen)
    finally:
        session.close()


@forgetting
def kill_while_going_back(bed, chosen, role):
    """Redis has forgotten all, and who puts it back dies."""
    delete_all_keys(bed)
    time.sleep(chosen.uniform(0, 0.5))
    for daemon in bed.of(role):
        daemon.kill()
    yield 0.1
    for daemon in bed.of(role):
        daemon.start()


for each in ("saver", "center"):
    fault(f"landing:kill-{each}", kill_while_landing, each)
    fault(f"marking:kill-{each}", kill_while_marking, each)
    fault(f"going-back:kill-{each}", kill_while_going_back, each)
for each in ("saver", "center", "room", "register"):
    fault(f"appending:kill-{each}", kill_while_appending, each)
fault("marking:old-aof", kill_redis_while_marking)


# --- clients


def clients_leave(bed, chosen, how):
    bed.order(how)
    yield 0


def clients_stall(bed, chosen):
    """Their windows shut, and their sockets fill."""
    bed.order("stall")
    yield SHORT_S * 2
    bed.order("go")


for each in ("forget", "reset", "silent"):
    fault(f"clients:{each}", clients_leave, each)
fault("clients:stall", clients_stall)

"""The bindings of one connection: how many, renewed, and resumed with other tokens and tags."""

import pytest

from client import Client, eventually, pb
from test_spine import room

BINDS_MAX = 16


def bind(product, user="ann", tags=(), have=(), **claims):
    return pb.Bind(token=product.token(user, **claims), tags=list(tags), have=list(have))


def test_sixteen_and_no_more(cluster):
    """A seventeenth product is refused with a Bound that names it, however often it is tried; each of the sixteen can be renewed
    all the same, and a product that another was unbound for is taken."""
    products = [cluster.product() for _ in range(BINDS_MAX + 1)]
    with Client(room(cluster)) as client:
        client.hello("d1", bind(products[0]))
        first = client.expect("Welcome").bound[0]
        client.expect("Synced")
        for product in products[1:BINDS_MAX]:
            client.send("Bind", token=product.token("ann"))
            assert client.expect("Bound").error == 0
            client.expect("Synced")
        for _ in range(2):
            client.send("Bind", token=products[-1].token("ann"))
            refused = client.expect("Bound")
            assert (refused.error, refused.name) == (4101, products[-1].name)
        for product in products[:BINDS_MAX]:
            client.send("Bind", token=product.token("ann"))
            renewed = client.expect("Bound")
            assert (renewed.error, renewed.name) == (0, product.name)
        assert client_generation(client, products[0]) == first.generation
        client.send("Unbind", product=first.product)
        client.send("Bind", token=products[-1].token("ann"))
        assert (bound := client.expect("Bound")).error == 0 and bound.name == products[-1].name


def client_generation(client, product):
    client.send("Bind", token=product.token("ann"))
    return client.expect("Bound").generation


def test_a_renewal_that_crosses_a_newer_login(cluster):
    """A Bind that was on its way when a newer login ended its binding renews nothing, and takes nothing back. Who wants it back says where it is."""
    product, other = cluster.product(), cluster.product()
    with Client(room(cluster)) as older, Client(room(cluster)) as newer:
        older.hello("d1", bind(product), bind(other))
        held = older.expect("Welcome").bound
        for _ in held:
            older.expect("Synced")
        newer.login("d1", product.token("ann"))
        assert (ended := older.expect("Bound")).error == 4001 and ended.product == held[0].product
        older.send("Bind", token=product.token("ann"))
        assert (refused := older.expect("Bound")).error == 4001 and refused.product == 0
        newer.nothing_comes()
        older.send("Bind", token=product.token("ann"), have=held[0].after)
        assert older.expect("Bound").error == 0
        assert newer.expect("Close").code == 4001


def test_a_product_twice_is_malformed(cluster):
    """A Hello that names a product twice is closed with 4300, whether or not it has resume bytes that are good."""
    product, other = cluster.product(), cluster.product()
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product), bind(product, "bob"))
        assert client.expect("Close").code == 4300
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product), bind(other))
        resume = client.expect("Welcome").resume
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product), bind(product), resume=resume)
        assert client.expect("Close").code == 4300


def lost(cluster, *binds):
    """Logs in with these, is lost, and gives the resume bytes."""
    with Client(room(cluster)) as client:
        client.hello("d1", *binds)
        welcome = client.expect("Welcome")
        for _ in binds:
            client.expect("Synced")
    return welcome


@pytest.mark.parametrize("spoiled", ["token of the other", "none at all", "another user", "expired"])
def test_each_session_needs_its_own_token(cluster, spoiled):
    """A resume keeps the sessions of a connection only with a good token for each: with one product's token twice, one too few, one of
    another user or an expired one the other product's session does not go on, and gets no message."""
    mine, other = cluster.product(), cluster.product()
    welcome = lost(cluster, bind(mine), bind(other))
    second = {"token of the other": [bind(mine)], "none at all": [], "another user": [bind(other, "bob")],
              "expired": [bind(other, exp=1)]}[spoiled]
    with Client(room(cluster)) as client:
        client.hello("d1", bind(mine), *second, resume=welcome.resume)
        name, message = client.receive()
        if name == "Welcome":
            assert not any(b.resumed for b in message.bound)
            held = [b.name for b in message.bound if not b.error and b.user == "ann"]
            assert held == [mine.name]
        else:
            assert (name, message.code) == ("Close", 4300)
        other.push_user("ann", "not for this client")
        if name == "Welcome":
            client.expect("Synced")
            if len([b for b in message.bound if not b.error]) == 2:
                client.expect("Synced")
            client.nothing_comes()


def test_a_resume_takes_the_new_tags(cluster):
    """The tags of a resumed Hello are in force from then on, also for what came while the connection was lost; those of before are not."""
    product = cluster.product()
    welcome = lost(cluster, bind(product, tags=["a"]))
    product.push({"tags": {"any": ["a"]}}, payload="for a, meanwhile")
    product.push({"tags": {"any": ["b"]}}, payload="for b, meanwhile")
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product, tags=["b"]), resume=welcome.resume)
        client.welcome = client.expect("Welcome")
        assert client.welcome.bound[0].resumed
        client.product = client.welcome.bound[0].product
        got = [client.receive(), client.receive()]
        assert [m.payload for n, m in got if n == "Push"] == [b"for b, meanwhile"]
        product.push({"tags": {"any": ["a"]}}, payload="for a")
        product.push({"tags": {"any": ["b"]}}, payload="for b")
        client.ack_push(push := client.expect("Push"))
        assert push.payload == b"for b"
        client.nothing_comes()


def test_a_resume_with_tags_that_its_token_does_not_allow(cluster):
    """Such a Bind is refused with 4002, and the session is not resumed under its old tags."""
    product = cluster.product()
    welcome = lost(cluster, bind(product, tags=["a"]))
    with Client(room(cluster)) as client:
        client.send("Hello", device="d1", resume=welcome.resume,
                    bind=[pb.Bind(token=product.token("ann", tags=["a"]), tags=["b"])])
        assert client.expect("Close").code == 4002


def test_broadcast_figures_count_each_message_once(cluster):
    """A message that goes out again after a resume is one that was sent; what a client has handled is acked, also when it says so by its
    `have`: in a resume, and in a login that takes its lost session over."""
    product = cluster.product()

    def figures():
        return cluster.call("GET", f"/v1/products/{product.name}/stats").json()["broadcasts"]

    with Client(room(cluster)) as client:
        welcome, _ = client.login("d1", product.token("ann"))
        for text in ("one", "two", "three", "four"):
            product.push({"all": True}, payload=text)
        pushes = [client.expect("Push") for _ in range(4)]
        epoch = next(p.epoch for p in client.synced.at if p.stream == pb.NEWS)
    have = [pb.Position(stream=pb.NEWS, epoch=epoch, seq=pushes[1].seq)]
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product, have=have), resume=welcome.resume)
        welcome = client.expect("Welcome")
        assert welcome.bound[0].resumed
        assert [client.expect("Push").payload for _ in range(2)] == [b"three", b"four"]
        client.expect("Synced")
    eventually(lambda: figures() == {"accepted": 4, "sent": 4, "acked": 2})
    have[0].seq = pushes[3].seq
    with Client(room(cluster)) as client:
        client.login("d1", product.token("ann"), have=have)
        eventually(lambda: figures() == {"accepted": 4, "sent": 4, "acked": 4})


def test_broadcast_figures_after_other_tags(cluster):
    """What was for other tags, and goes out when its client resumes with these, is sent once and acked once; what goes out again is not sent
    anew. No more is acked than was sent."""
    product = cluster.product()

    def figures():
        return cluster.call("GET", f"/v1/products/{product.name}/stats").json()["broadcasts"]

    with Client(room(cluster)) as client:
        client.hello("d1", bind(product, tags=["a"]))
        welcome = client.expect("Welcome")
        client.expect("Synced")
        for tag in ("b", "a", "b"):
            product.push({"tags": {"any": [tag]}}, payload="for " + tag)
        product.push({"all": True}, payload="for all")
        assert [client.expect("Push").payload for _ in range(2)] == [b"for a", b"for all"]
    eventually(lambda: figures()["sent"] == 2)
    with Client(room(cluster)) as client:
        client.hello("d1", bind(product, tags=["b"]), resume=welcome.resume)
        client.welcome = client.expect("Welcome")
        assert client.welcome.bound[0].resumed
        client.product = client.welcome.bound[0].product
        pushes = [client.expect("Push") for _ in range(3)]
        assert [push.payload for push in pushes] == [b"for b", b"for b", b"for all"]
        client.ack_push(pushes[-1])
        eventually(lambda: figures() == {"accepted": 4, "sent": 4, "acked": 3})


def test_a_stream_of_a_later_version(cluster):
    """A client that has a position in a stream that this room does not know logs in all the same; one named twice is still a fault."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as ann:
        ann.login("d1", product.token("ann"), have=[pb.Position(stream=7, epoch=1, seq=1), pb.Position(stream=8, epoch=2, seq=2)])
        product.push_user("ann", "hello")
        assert ann.expect("Push").payload == b"hello"
    with Client(cluster.info["rooms"][0]) as bob:
        bob.hello("d1", pb.Bind(token=product.token("bob"), have=[pb.Position(stream=pb.NEWS, epoch=1, seq=1)] * 2))
        assert bob.expect("Close").code == 4300

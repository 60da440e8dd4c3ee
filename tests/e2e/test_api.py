"""The HTTP API, call by call; every answer is held to docs/openapi.yaml on the way."""

import concurrent.futures
import json
import socket
import threading
import time

import pytest
import requests

from client import Client, eventually, pb


def port_of(cluster):
    return cluster.info.get("center") or cluster.center.ports["center"]


def raw(cluster, request):
    """What the center answers to these very bytes."""
    with socket.create_connection(("127.0.0.1", port_of(cluster)), timeout=20) as s:
        s.sendall(request)
        answer = b""
        while chunk := s.recv(65536):
            answer += chunk
            head, _, body = answer.partition(b"\r\n\r\n")
            length = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
            if length and len(body) >= length[0]:
                break
    return int(answer.split(b" ", 2)[1]), answer


def test_product_life(cluster):
    """Create, replace, merge, If-Match, delete: and a deleted product made again is another one."""
    path = f"/v1/products/{cluster.product().name}-x"
    created = cluster.call("PUT", path, {"limits": {"payload_bytes": 100}})
    assert created.status_code == 201 and {k["kind"] for k in created.json()["keys"]} == {"token", "api", "webhook"}
    assert created.json()["limits"]["payload_bytes"] == 100 and created.json()["limits"]["inbox_messages"] == 1000
    assert "keys" not in cluster.call("GET", path).json()
    merged = cluster.call("PATCH", path, {"limits": {"inbox_messages": 20}})
    assert merged.json()["limits"]["payload_bytes"] == 100 and merged.json()["limits"]["inbox_messages"] == 20
    shown = {name: merged.json()[name] for name in ("limits", "callbacks")}
    again = cluster.call("PUT", path, shown)  # what is shown may be put back as it stands
    assert again.status_code == 200 and again.json()["limits"] == shown["limits"]
    assert cluster.call("PATCH", path, {"limits": {"payload_bytes": None}}).json()["limits"]["payload_bytes"] == 4096
    replaced = cluster.call("PUT", path, {})
    assert replaced.status_code == 200 and replaced.json()["limits"]["inbox_messages"] == 1000 and replaced.json()["callbacks"] is None
    tag = replaced.headers["ETag"]
    assert cluster.call("PATCH", path, {}, headers={"If-Match": '"0"'}).json()["code"] == "state_conflict"
    assert cluster.call("PATCH", path, {}, headers={"If-Match": tag}).status_code == 200
    assert path.rsplit("/", 1)[1] in [p["name"] for p in cluster.call("GET", "/v1/products?limit=1000").json()["items"]]
    assert cluster.call("DELETE", path).status_code == 204
    assert cluster.call("GET", path).status_code == 404
    assert cluster.call("PUT", path, {}).status_code == 201


@pytest.mark.parametrize("body, code, field", [
    ({"limits": {"payload_bytes": 0}}, "invalid_value", "limits.payload_bytes"),
    ({"limits": {"payload_bytes": 61441}}, "invalid_value", "limits.payload_bytes"),
    ({"limits": {"payload_bytes": "1"}}, "invalid_value", "limits.payload_bytes"),
    ({"limits": {"nope": 1}}, "unknown_field", "limits.nope"),
    ({"limits": []}, "invalid_value", "limits"),
    ({"callbacks": {"url": "https://example.org/h", "events": ["status"]}}, "invalid_value", "callbacks"),
    ({"limits": {"bulk_rate_per_s": 5}}, "invalid_value", "limits.bulk_rate_per_s"),
    ({"limits": {"outcome_s": 59}}, "invalid_value", "limits.outcome_s"),
    pytest.param({"é" * 200: 1}, "unknown_field", "é" * 79, id="cut inside a character"),
])
def test_bad_products(cluster, body, code, field):
    """Each fault names its field; what this version does not do is refused, not taken without effect."""
    answer = cluster.call("PUT", f"/v1/products/{cluster.product().name}", body)
    assert answer.status_code == 422 and (answer.json()["code"], answer.json()["field"]) == (code, field)


def test_keys(cluster):
    """A secret of one's own, here the longest, signs tokens that rooms take; a deleted key refuses new logins; API keys have their scope."""
    product, other = cluster.product(), cluster.product()
    path = f"/v1/products/{product.name}/keys"
    secret = "s" * 128
    made = cluster.call("POST", path, {"kind": "token", "secret": secret})
    assert made.status_code == 201 and made.json()["secret"] == secret
    product.keys["token"] = made.json()
    token = product.token("ann")
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", token)
    assert all("secret" not in k for k in cluster.call("GET", path).json()["items"])
    assert cluster.call("DELETE", f"{path}/{made.json()['kid']}").status_code == 204

    def refused():
        with Client(cluster.info["rooms"][0]) as client:
            client.hello("d2", pb.Bind(token=token))
            name, message = client.receive()
            return name == "Close" and message.code == 4002
    eventually(refused)
    assert cluster.call("DELETE", f"{path}/{made.json()['kid']}").status_code == 404
    for bad in ({"kind": "nope"}, {}, {"kind": "token", "secret": "short"}, {"kind": "token", "secret": "s" * 129},
                {"kind": "api", "secret": "s" * 40}):
        assert cluster.call("POST", path, bad).status_code == 422
    api = product.keys["api"]["secret"]
    assert cluster.call("GET", f"/v1/products/{product.name}", key=api).status_code == 200
    assert cluster.call("GET", f"/v1/products/{product.name}/stats", key=api).status_code == 200
    for method, where in (("DELETE", f"/v1/products/{product.name}"), ("GET", path), ("GET", f"/v1/products/{other.name}"),
                          ("GET", "/v1/products"), ("GET", "/v1/cluster")):
        answer = cluster.call(method, where, key=api).json()
        assert answer["code"] == "forbidden", where
        assert answer["detail"] == "an API key does messages, tokens, users, stats and GET of its own product"
    for wrong in ("hwk_nope_nope", "x", api[:-1]):
        answer = cluster.call("GET", f"/v1/products/{product.name}", key=wrong)
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == "Bearer"


def test_tokens(cluster):
    product = cluster.product()
    path = f"/v1/products/{product.name}/tokens"
    answer = cluster.call("POST", path, {"user": "ann", "device": "d1", "tags": ["a"], "ttl_s": 60}, key=product.keys["api"]["secret"])
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", answer.json()["token"], tags=["a"])
    with Client(cluster.info["rooms"][0]) as client:
        client.hello("d1", pb.Bind(token=answer.json()["token"], tags=["b"]))
        assert client.expect("Close").code == 4002
    for bad, field in (({}, "user"), ({"user": ""}, "user"), ({"user": "u", "ttl_s": 0}, "ttl_s"), ({"user": "u", "tags": [""]}, "tags[0]"),
                       ({"user": "u", "ttl_s": 86401}, "ttl_s"), ({"user": "u", "nope": 1}, "nope")):
        answer = cluster.call("POST", path, bad)
        assert answer.status_code == 422 and answer.json()["field"] == field


def test_targets(cluster):
    """Users (duplicates once), devices, tags and everyone: who is meant gets it, and nobody else."""
    product = cluster.product()
    rooms = cluster.info["rooms"]
    with Client(rooms[0]) as ann, Client(rooms[-1]) as bob, Client(rooms[0]) as bob2:
        ann.login("d1", product.token("ann"), tags=["red", "big"])
        bob.login("d1", product.token("bob"), tags=["red"])
        bob2.login("d2", product.token("bob"))
        answer = product.push({"users": ["ann", "bob", "ann"]}, payload="many")
        assert answer["targets"] == 2
        for client in (ann, bob, bob2):
            push = client.expect("Push")
            assert (push.payload, push.id) == (b"many", answer["id"])
            client.ack_push(push)
        product.push({"devices": [{"user": "bob", "device": "d2"}]}, payload="one device")
        assert bob2.expect("Push").payload == b"one device"
        gap = bob.expect("Gap")
        assert (gap.first, gap.last, gap.reason) == (2, 2, pb.GAP_OTHER_DEVICE)
        product.push({"tags": {"any": ["red"], "none": ["big"]}}, payload="small and red")
        product.push({"all": True}, payload="everyone")
        assert [c.expect("Push").payload for c in (bob, bob)] == [b"small and red", b"everyone"]
        assert [c.expect("Push").payload for c in (ann, bob2)] == [b"everyone", b"everyone"]


def test_live(cluster):
    """A live message reaches who is connected now, unnumbered, and waits for nobody."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("ann"))
        answer = product.push({"user": "ann"}, payload="now", **{"class": "live"})
        assert answer["class"] == "live" and answer["online"] == 1
        push = client.expect("Push")
        assert (push.payload, push.seq) == (b"now", 0)
        product.push({"all": True}, payload="now all", ttl_s=0)
        push = client.expect("Push")
        assert (push.payload, push.seq) == (b"now all", 0)
        client.nothing_comes()
    assert product.push({"user": "nobody"}, payload="now", **{"class": "live"})["online"] == 0
    with Client(cluster.info["rooms"][0]) as client:
        _, before = client.login("d1", product.token("nobody"))
        assert before == []


def test_live_to_tags(cluster):
    """`online` of a live broadcast counts the connected devices that it was for, and no others."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as red, Client(cluster.info["rooms"][0]) as blue:
        red.login("d1", product.token("ann"), tags=["red"])
        blue.login("d1", product.token("bob"), tags=["blue"])
        live = {"payload": "now", "class": "live"}
        assert product.push({"tags": {"any": ["red"]}}, **live)["online"] == 1
        assert red.expect("Push").payload == b"now"
        assert product.push({"tags": {"any": ["green"]}}, **live)["online"] == 0
        assert product.push({"all": True}, **live)["online"] == 2
        assert blue.expect("Push").payload == b"now"
        blue.nothing_comes()


def test_expiry(cluster):
    """What expired while a known device was away is announced as a gap and never comes."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("ann"))
        client.send("Bye")
        client.expect_end()
    product.push_user("ann", "short", ttl_s=1)
    product.push_user("ann", "long")
    time.sleep(1.2)  # the message's own life time
    with Client(cluster.info["rooms"][0]) as client:
        client.hello("d1", pb.Bind(token=product.token("ann")))
        client.welcome = client.expect("Welcome")
        gap = client.expect("Gap")
        assert (gap.first, gap.last, gap.reason) == (1, 1, pb.GAP_EXPIRED)
        assert client.expect("Push").payload == b"long"


def test_batch(cluster):
    """One result for each message, in order; a bad one does not hold up the others."""
    product = cluster.product()
    messages = [{"to": {"user": "ann"}, "payload": "1"}, {"to": {"user": "ann"}}, {"to": {"user": "ann"}, "payload": "2", "idempotency_key": "k"},
                {"to": {"user": "ann"}, "payload": "2", "idempotency_key": "k"}, {"to": {"user": "ann"}, "payload": "3", "class": "durable"}]
    path = f"/v1/products/{product.name}/messages/batch"
    results = cluster.call("POST", path, {"messages": messages}).json()["results"]
    assert [r["status"] for r in results] == [202, 422, 202, 202, 422]
    assert results[1]["code"] == "missing_field" and (results[4]["code"], results[4]["field"]) == ("invalid_value", "class")
    assert results[2]["id"] == results[3]["id"]
    for bad in ({}, {"messages": []}, {"messages": [{}] * 1001}, {"messages": [{"to": {"users": ["u"]}}], "nope": 1}):
        assert cluster.call("POST", path, bad).status_code == 422
    with Client(cluster.info["rooms"][0]) as client:
        _, before = client.login("d1", product.token("ann"))
        assert [m.payload for _, m in before] == [b"1", b"2"]


def test_order_of_a_batch(cluster):
    """Messages of one batch to one user come in their order, those to others between them."""
    product = cluster.product()
    messages = [{"to": {"user": "ann" if n % 3 else "bob"}, "payload": str(n)} for n in range(300)]
    results = cluster.call("POST", f"/v1/products/{product.name}/messages/batch", {"messages": messages}).json()["results"]
    assert [r["status"] for r in results] == [202] * 300
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("bob"), until_synced=False)
        for n in range(0, 300, 3):
            push = client.expect("Push")
            assert push.payload == str(n).encode()
            client.ack_push(push)


def test_text_from_outside(cluster):
    """What a caller names comes back in no answer as half a character or as no JSON: results keep their place, and no body is empty."""
    product = cluster.product()
    to = {"user": "ann"}
    messages = [{"to": to, "payload": "1"}] + [{"to": to, "payload": "2", "x" * n + "é" * 70: 1} for n in (0, 1)] + [{"to": to, "payload": "3"}]
    results = cluster.call("POST", f"/v1/products/{product.name}/messages/batch", {"messages": messages}).json()["results"]
    assert [r["status"] for r in results] == [202, 422, 422, 202]
    assert all("é" in r["detail"] and "é" in r["field"] for r in results[1:3])
    for method, path in (("DELETE", f"/v1/products/{product.name}/keys/%ff"), ("POST", "/v1/rooms/%ff/drain"),
                         ("DELETE", f"/v1/products/{product.name}/keys/" + "%c3%a9" * 40)):
        answer = cluster.call(method, path, {})
        assert answer.status_code == 404 and answer.json()["code"] == "not_found"


def test_a_user_in_a_path(cluster):
    """Whatever is asked of a user whose id cannot be one is refused alike, behind all that is refused of the key and the product."""
    product = cluster.product()
    calls = (("GET", ""), ("GET", "/parked"), ("DELETE", "/parked"), ("POST", "/parked/redeliver"))
    for user in ("%ff", "%01", "a" * 65, "%7f", "%c3%a9" * 32 + "b"):
        for method, behind in calls:
            answer = cluster.call(method, f"/v1/products/{product.name}/users/{user}{behind}")
            said = answer.json()
            assert (answer.status_code, said["code"], said["field"]) == (422, "invalid_value", "user"), (method, user, behind)
            assert said["detail"] == "1..64 bytes of UTF-8 without control characters"
    for method, behind in calls:
        assert cluster.call(method, f"/v1/products/none/users/%ff{behind}").status_code == 404
        assert cluster.call(method, f"/v1/products/{product.name}/users/%ff{behind}", key="x").status_code == 401
    assert cluster.call("GET", f"/v1/products/{product.name}/users/" + "%c3%a9" * 32).status_code == 200


def test_nul_in_a_key(cluster):
    """A NUL does not cut an Idempotency-Key of a batch: it is no printable character."""
    product = cluster.product()
    messages = [{"to": {"user": "ann"}, "payload": "x", "idempotency_key": key} for key in ("k\0one", "k", "k\0", "é")]
    results = cluster.call("POST", f"/v1/products/{product.name}/messages/batch", {"messages": messages}).json()["results"]
    assert [r["status"] for r in results] == [422, 202, 422, 422]
    assert all(r["field"] == "idempotency_key" for r in results if r["status"] == 422)


def test_a_batch_has_no_key_of_its_own(cluster):
    """A header that would be passed over is refused: whoever sends it counts on it."""
    product = cluster.product()
    path, body = f"/v1/products/{product.name}/messages/batch", {"messages": [{"to": {"user": "ann"}, "payload": "x"}]}
    answer = cluster.call("POST", path, body, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")
    assert cluster.call("POST", path, body).json()["results"][0]["status"] == 202


def test_batch_is_counted_first(cluster):
    """Too many targets are refused by their number, before anything is looked at; up to it they are taken."""
    product = cluster.product()
    path = f"/v1/products/{product.name}/messages/batch"
    one = {"to": {"devices": [{"user": "u", "device": str(n % 16)} for n in range(1000)]}, "payload": "x"}
    answer = cluster.call("POST", path, {"messages": [one] * 11})
    assert answer.status_code == 422 and answer.json()["field"] == "messages"
    answer = cluster.call("POST", path, {"messages": [{"nope": 1}] + [{"to": {"users": [f"u{n}" for n in range(1000)]}, "payload": "x"}] * 10})
    assert answer.status_code == 422 and answer.json()["field"] == "messages"
    answer = cluster.call("POST", path, {"messages": [one] * 200})  # so many values are not even read
    assert answer.status_code == 422 and "values" in answer.json()["detail"]
    results = cluster.call("POST", path, {"messages": [one] * 10}).json()["results"]
    assert [(r["status"], r["targets"]) for r in results] == [(202, 1)] * 10
    seventeen = [{"user": "v", "device": str(n)} for n in range(17)]
    answer = cluster.call("POST", f"/v1/products/{product.name}/messages", {"to": {"devices": seventeen}, "payload": "x"})
    assert answer.status_code == 422 and answer.json()["field"] == "to.devices"


def test_a_long_batch_holds_up_nobody(cluster):
    """While the largest batches are worked on, other calls to the same center are answered in between."""
    product = cluster.product()
    path = f"/v1/products/{product.name}/messages/batch"
    devices = [{"user": f"user-{n:05d}", "device": "d"} for n in range(1000)]
    body = json.dumps({"messages": [{"to": {"devices": devices}, "payload": "x"}] * 10}).encode()
    took = []
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        batches = [pool.submit(requests.post, f"http://127.0.0.1:{port_of(cluster)}{path}", data=body, timeout=60,
                               headers={"Authorization": f"Bearer {cluster.info['admin_key']}"}) for _ in range(3)]
        while not all(b.done() for b in batches):
            before = time.monotonic()
            assert requests.get(f"http://127.0.0.1:{port_of(cluster)}/healthz", timeout=20).status_code == 200
            took.append(time.monotonic() - before)
    assert all(b.result().status_code == 200 for b in batches)
    assert len(took) > 3 and max(took) < 5, (len(took), max(took))


@pytest.mark.parametrize("fields, code, field", [
    ({"payload": "x" * 8_000_000}, "payload_too_large", "payload"),
    ({"payload": "x", "content_type": "\u20ac" * 1_300_000}, "invalid_value", "content_type"),
    ({"payload": "x", "nope": [[0]] * 60_000}, "unknown_field", "nope"),
    ({"payload": "x", "nope": [0] * 140_000}, "invalid_value", None),
])
def test_long_bodies(cluster, fields, code, field):
    """However long a body is, what is wrong in it is named as in a short one; too many values are not read at all."""
    answer = cluster.call("POST", f"/v1/products/{cluster.product().name}/messages", {"to": {"user": "ann"}, **fields})
    assert answer.status_code == 422 and (answer.json()["code"], answer.json().get("field")) == (code, field)


@pytest.mark.parametrize("body, detail", [
    ("", "empty"), ("[1]", "object"), ('{"to": {"user": "ann"}, "payload": "x"', "early at byte 38"), ('{"to": 1, "to": 2}', "twice at byte 14"),
    ('{"a": 01}', "number"), ('{"a": 1} 2', "behind the end"), ('{"a": "\x01"}', "control"), ('{"a": "\\ud800"}', "escape"), ("[" * 100000, "deeper"),
])
def test_malformed(cluster, body, detail):
    """What is no JSON is told so, with the place, and nothing of it is done."""
    answer = cluster.call("POST", f"/v1/products/{cluster.product().name}/messages", body)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed") and detail in answer.json()["detail"], answer.text


@pytest.mark.parametrize("body, field, detail", [
    ('{"to": {"user": "ann"}, "payload": "x", "ttl_s": 1e400}', "ttl_s", "out of range at byte 49"),
    ('{"to": {"users": ["ann", 1e400]}, "payload": "x"}', "to.users[1]", "out of range"),
    ('\ufeff{"to": {"user": "ann"}, "payload": "x"}', None, "byte order mark"),
])
def test_malformed_value(cluster, body, field, detail):
    """A number that none can hold is told with the field that has it, and what stands in front of a body unseen is told by its name."""
    answer = cluster.call("POST", f"/v1/products/{cluster.product().name}/messages", body.encode())
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem.get("field")) == (400, "malformed", field) and detail in problem["detail"], answer.text


def test_keys_of_live_messages(cluster):
    """A live message under a key is handed over once: its repeat is answered without it, another body is refused, also as a stored one."""
    product = cluster.product()
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("ann"))
        for number, to in enumerate(({"user": "ann"}, {"users": ["ann", "bob"]}, {"devices": [{"user": "ann", "device": "d1"}]}, {"all": True})):
            head = {"Idempotency-Key": f"k{number}"}
            first = product.push(to, payload="once", headers=head, **{"class": "live"})
            assert first["online"] == 1 and "replayed" not in first
            again = product.push(to, payload="once", headers=head, **{"class": "live"})
            assert again["id"] == first["id"] and again["replayed"] is True and "online" not in again
            assert product.push(to, payload="other", headers=head, expect=409, **{"class": "live"})["code"] == "idempotency_mismatch"
            assert product.push(to, payload="once", headers=head, expect=409)["code"] == "idempotency_mismatch"
            push = client.expect("Push")
            assert (push.payload, push.seq) == (b"once", 0)
            client.nothing_comes()


def test_keys_of_a_product_are_bounded(cluster):
    """idempotency_keys counts the keys of the whole product, whoever they are for; a push to many takes one."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    cluster.call("PATCH", path, {"limits": {"idempotency_keys": 2}})

    def statuses(targets):
        return [cluster.call("POST", path + "/messages", {"to": to, "payload": "x"}, headers={"Idempotency-Key": "k"}).status_code for to in targets]
    eventually(lambda: cluster.call("GET", path).json()["limits"]["idempotency_keys"] == 2)
    targets = [{"users": [f"user{n}" for n in range(9)]}] + [{"user": f"user{n}"} for n in range(6)]
    assert statuses(targets) == [202, 202] + [429] * 5
    assert statuses(targets) == [202, 202] + [429] * 5  # a repeat is answered
    assert statuses([{"all": True}]) == [429]


def test_keys_of_many_targets(cluster):
    """For many targets the key names the whole push: another body stores nothing anywhere, the same body goes on where the first ended."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    cluster.call("PATCH", path, {"limits": {"inbox_messages": 10, "reject_new": True}})
    eventually(lambda: cluster.call("POST", path + "/messages", {"to": {"user": "bob"}, "payload": "x"}).status_code == 507)
    to, head = {"users": ["ann", "bob"]}, {"Idempotency-Key": "k"}

    def pending():
        return [cluster.call("GET", f"{path}/users/{u}").json()["pending"] for u in ("ann", "bob")]
    first = product.push(to, payload="first", headers=head)
    assert first["targets"] == 2 and "replayed" not in first and pending() == [1, 10]
    assert cluster.call("GET", path + "/stats").json()["rejected"] == 1
    with Client(cluster.info["rooms"][0]) as bob:
        _, before = bob.login("d1", product.token("bob"))
        bob.ack_push(before[-1][1])
        eventually(lambda: pending()[1] == 0)
        for other in ({"payload": "second"}, {"payload": "first", "ttl_s": 60}):
            assert product.push(to, headers=head, expect=409, **other)["code"] == "idempotency_mismatch"
        assert pending() == [1, 0]
        bob.nothing_comes()
        again = product.push(to, payload="first", headers=head)
        assert again["id"] == first["id"] and again["replayed"] is True and again["expires_at"] == first["expires_at"]
        assert bob.expect("Push").payload == b"first"
    assert pending() == [1, 1]
    stats = cluster.call("GET", path + "/stats").json()
    assert stats["rejected"] == 1 and stats["accepted"] == 12


def test_what_comes_later_is_refused(cluster):
    """Who asks by query for what this version does not serve is told so, and nothing is stored; null takes each limit back to its default."""
    product = cluster.product()
    base = f"/v1/products/{product.name}"
    for method, path, body, field in [("POST", base + "/messages?targets=stream", {"to": {"user": "ann"}, "payload": "x"}, "targets"),
                                      ("GET", base + "/stats?from=1", None, "from"), ("GET", "/v1/stats?step=60", None, "step")]:
        answer = cluster.call(method, path, body)
        assert answer.status_code == 422 and answer.json()["field"] == field and "not served" in answer.json()["detail"], answer.text
    assert cluster.call("GET", base + "/stats").json()["accepted"] == 0
    limits = lambda given: cluster.call("PATCH", base, {"limits": given}).json()["limits"]
    assert limits({"reject_new": True})["reject_new"] is True
    assert limits({"reject_new": None})["reject_new"] is False


def test_live_reaches_each_device_once(cluster):
    """Of a user's devices some move while they are told: none of them gets a live message twice."""
    product = cluster.product()
    rooms = cluster.info["rooms"]
    token = product.token("ann")
    stay, wanted = [Client(rooms[-1]) for _ in range(3)], 100
    for n, client in enumerate(stay):
        client.login(f"stays{n}", token)
    stop = threading.Event()

    def move():
        while not stop.is_set():  # its row is in the register when its session has gone
            with Client(rooms[0]) as client:
                client.login("moves", token, until_synced=False)
                client.send("Bye")
                client.expect_closed()
    mover = threading.Thread(target=move)
    mover.start()
    try:
        ids = [product.push({"user": "ann"}, payload=str(n), **{"class": "live"})["id"] for n in range(wanted)]
    finally:
        stop.set()
        mover.join()
    for client in stay:
        got = []
        client.send("Ping")
        while (frame := client.receive())[0] != "Pong":
            got.append(frame[1].id)
        assert got == ids
        client.close()


def test_limits_of_a_product(cluster):
    """push_per_s refuses with Retry-After, and what it refuses counts as no push taken on; reject_new refuses with 507 and stores
    nothing."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    assert cluster.call("PATCH", path, {"limits": {"push_per_s": 1}}).status_code == 200
    center = getattr(cluster, "center", None)  # the trial shows no figures
    before = center and center.metric("pushes_total")
    answers = [cluster.call("POST", path + "/messages", {"to": {"user": "ann"}, "payload": "x"}) for _ in range(5)]
    refused = [a for a in answers if a.status_code == 429]
    assert not center or center.metric("pushes_total") - before == len(answers) - len(refused)
    assert refused and all(a.json()["code"] == "rate_limited" and int(a.headers["Retry-After"]) >= 1 for a in refused)
    cluster.call("PATCH", path, {"limits": {"push_per_s": 0, "inbox_messages": 10, "reject_new": True}})
    eventually(lambda: cluster.call("POST", path + "/messages", {"to": {"user": "bob"}, "payload": "x"}).status_code == 507)
    assert cluster.call("GET", path + "/users/bob").json()["pending"] == 10
    # Of many targets those that are full are left out; only when all are is it said.
    assert cluster.call("POST", path + "/messages", {"to": {"users": ["bob", "carl"]}, "payload": "x"}).status_code == 202
    assert [cluster.call("GET", f"{path}/users/{u}").json()["pending"] for u in ("bob", "carl")] == [10, 1]
    for _ in range(9):
        product.push_user("carl", "x")
    full = cluster.call("POST", path + "/messages", {"to": {"users": ["bob", "carl"]}, "payload": "x"})
    assert (full.status_code, full.json()["code"]) == (507, "inbox_full")


def test_users_and_sums(cluster):
    """Sessions, positions, who is online; and the sum holds."""
    product = cluster.product()
    path = f"/v1/products/{product.name}"
    assert cluster.call("GET", path + "/users/nobody").json()["sessions"] == []
    with Client(cluster.info["rooms"][0]) as client:
        client.login("d1", product.token("ann b/c%"))
        product.push_user("ann b/c%", "x")
        client.ack_push(client.expect("Push"))
        user = path + "/users/ann%20b%2Fc%25"
        eventually(lambda: cluster.call("GET", user).json()["pending"] == 0)
        shown = cluster.call("GET", user).json()
        assert [s["device"] for s in shown["sessions"]] == ["d1"] and shown["user"] == "ann b/c%"
        assert shown["positions"][0]["streams"]["inbox"]["seq"] >= 1
        asked = cluster.call("POST", path + "/users/query", {"users": ["ann b/c%", "nobody"]}).json()["items"]
        assert [u["online"] for u in asked] == [True, False]
        product.push_user("nobody", "waits")
        stats = cluster.call("GET", path + "/stats").json()
        assert stats["online"] == 1 and stats["accepted"] == 2 and stats["acked"] == 1 and stats["pending"] == 1
        assert stats["accepted"] == sum(stats[k] for k in ("acked", "pending", "expired", "overflowed", "collapsed", "recalled", "parked"))
    assert cluster.call("GET", "/v1/stats").json()["accepted"] >= 2


@pytest.mark.parametrize("method, path, status, code", [
    ("GET", "/v1/nope", 404, "not_found"), ("GET", "/v1/products/p%00", 400, "malformed"),
    ("PUT", "/v1/products/UPPER", 422, "invalid_value"), ("DELETE", "/v1/cluster", 405, "method_not_allowed"),
    ("GET", "/v1/products/nope-nope", 404, "not_found"), ("POST", "/v1/rooms/nope/drain", 404, "not_found"),
])
def test_paths(cluster, method, path, status, code):
    answer = requests.request(method, f"http://127.0.0.1:{port_of(cluster)}{path}", data="{}", timeout=20,
                              headers={"Authorization": f"Bearer {cluster.info['admin_key']}"})
    assert answer.status_code == status and answer.json()["code"] == code
    assert status != 405 or answer.headers["Allow"] == "GET"


def test_bodies(cluster):
    """Too large is 413 before it is read; two lengths, or a length with chunks, is 400."""
    head = f"POST /v1/products/x/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {cluster.info['admin_key']}\r\n".encode()
    status, answer = raw(cluster, head + b"Content-Length: 8388609\r\n\r\n")
    assert status == 413 and b"body_too_large" in answer
    assert raw(cluster, head + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")[0] == 400
    assert raw(cluster, head + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")[0] == 400
    assert raw(cluster, b"GET /v1/products/p%zz HTTP/1.1\r\nHost: x\r\n\r\n")[0] == 400
    product = cluster.product()
    payload = "x" * 4000
    many = {"messages": [{"to": {"user": f"u{i}"}, "payload": payload} for i in range(1000)]}
    assert len(json.dumps(many)) > 4_000_000
    assert cluster.call("POST", f"/v1/products/{product.name}/messages/batch", many).status_code == 200


def test_openapi_is_served(cluster):
    text = requests.get(f"http://127.0.0.1:{port_of(cluster)}/v1/openapi.yaml", timeout=20).text
    assert text.startswith("openapi: 3.1.0")
    assert requests.get(f"http://127.0.0.1:{port_of(cluster)}/readyz", timeout=20).json() == {"status": "ready"}

"""Clients of MQTT by paho, which knows nothing of us. Each task prints what it has got, as JSON."""

import json
import os
import sys
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

PATIENCE = 60


class Client:
    """A client with its messages, and a way to wait for what happens."""

    def __init__(self, place, name, clean=True, expiry=0, will=None):
        self.version = paho.MQTTv5 if place["version"] == 5 else paho.MQTTv311
        kept = {} if self.version == paho.MQTTv5 else {"clean_session": clean}
        self.paho = paho.Client(name, protocol=self.version, transport=place["transport"], **kept)
        if place["transport"] == "websockets":
            # It says that it is a page of an `https:` origin, which it is not.
            plain = lambda headers: {k: v for k, v in headers.items() if k != "Origin"}
            self.paho.ws_set_options(path="/mqtt", headers=plain)
        self.paho.reconnect_delay_set(min_delay=1, max_delay=1)
        self.messages, self.acked, self.connects = [], set(), 0
        self.changed = threading.Condition()
        self.paho.on_connect = self.on_connect
        self.paho.on_message = lambda _c, _u, m: self.note(self.messages.append, m)
        self.paho.on_publish = lambda _c, _u, mid: self.note(self.acked.add, mid)
        self.paho.on_subscribe = lambda _c, _u, mid, *_: self.note(self.acked.add, mid)
        if will:
            self.paho.will_set(*will)
        options = {}
        if self.version == paho.MQTTv5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = expiry
            options = {"clean_start": clean, "properties": properties}
        self.paho.connect(place["host"], place["port"], 30, **options)
        self.paho.loop_start()
        self.wait(lambda: self.connects)

    def on_connect(self, _client, _user, flags, code, *_):
        assert code == 0, code
        self.present = flags["session present"]
        self.note(lambda _: setattr(self, "connects", self.connects + 1), None)

    def note(self, action, what):
        with self.changed:
            action(what)
            self.changed.notify_all()

    def wait(self, until):
        with self.changed:
            assert self.changed.wait_for(until, PATIENCE), "never so"

    def subscribe(self, *what, **options):
        _, mid = self.paho.subscribe(*what, **options)
        self.wait(lambda: mid in self.acked)

    def publish(self, *what, **options):
        told = self.paho.publish(*what, **options)
        self.wait(lambda: told.mid in self.acked)

    def cut(self):
        """Loses the connection, and waits until it has come back."""
        before = self.connects
        sock = self.paho.socket()
        if sock:
            getattr(sock, "_socket", sock).shutdown(2)
        self.wait(lambda: self.connects > before)

    def end(self):
        self.paho.disconnect()
        self.paho.loop_stop()


def every_quality(place):
    """Messages of every quality come at the lower of both, once each, as they were."""
    sub, pub = Client(place, "sub"), Client(place, "pub")
    payloads = [b'{ "ice" : true }', b"plain", b"\x00\xff", b"1.0", b""]
    for granted in range(3):
        sub.messages.clear()
        sub.subscribe("py/%d/#" % granted, granted)
        for published in range(3):
            for payload in payloads:
                pub.publish("py/%d/%d" % (granted, published), payload, published)
        sub.wait(lambda: len(sub.messages) >= 3 * len(payloads))
        expected = [(min(granted, q), p, False) for q in range(3) for p in payloads]
        got = [(m.qos, m.payload, m.retain) for m in sub.messages]
        assert got == expected, got
    # Long ones, too.
    long = os.urandom(700_000)
    sub.messages.clear()
    pub.publish("py/2/long", long, 2)
    sub.wait(lambda: sub.messages)
    assert sub.messages[0].payload == long
    sub.end()
    pub.end()
    return "well"


def properties(place):
    """What version 5 has besides."""
    sub, pub = Client(place, "sub"), Client(place, "pub")
    wanted = Properties(PacketTypes.SUBSCRIBE)
    wanted.SubscriptionIdentifier = 7
    options = SubscribeOptions(qos=1, retainAsPublished=True)
    sub.subscribe("props/#", options=options, properties=wanted)
    told = Properties(PacketTypes.PUBLISH)
    told.ContentType = "application/json"
    told.ResponseTopic = "answers/1"
    told.CorrelationData = b"\x00\x01"
    told.PayloadFormatIndicator = 1
    told.MessageExpiryInterval = 1000
    told.UserProperty = [("a", "1"), ("a", "2")]
    told.TopicAlias = 3
    pub.publish("props/x", b"{}", 1, True, properties=told)
    again = Properties(PacketTypes.PUBLISH)
    again.TopicAlias = 3
    pub.publish("", b"2", 1, properties=again)
    sub.wait(lambda: len(sub.messages) >= 2)
    first, second = sub.messages
    got = first.properties
    assert first.retain and not second.retain
    assert (second.topic, second.payload) == ("props/x", b"2")
    assert got.ContentType == "application/json" and got.ResponseTopic == "answers/1"
    assert got.CorrelationData == b"\x00\x01" and got.PayloadFormatIndicator == 1
    assert got.UserProperty == [("a", "1"), ("a", "2")]
    assert 0 < got.MessageExpiryInterval <= 1000
    assert got.SubscriptionIdentifier == [7]
    pub.publish("props/x", b"", 1, True)
    # Who does not want to hear itself does not.
    pub.subscribe("own/#", options=SubscribeOptions(qos=1, noLocal=True))
    pub.publish("own/x", b"mine", 1)
    sub.publish("own/x", b"other", 1)
    pub.wait(lambda: pub.messages)
    assert [m.payload for m in pub.messages] == [b"other"]
    sub.end()
    pub.end()
    return "well"


def once_out(place):
    """Publishes numbered messages of quality 2, and loses its connection now and then."""
    client = Client(place, "once-out", clean=False, expiry=600)
    told = []
    for n in range(place["count"]):
        told.append(client.paho.publish("once/out", json.dumps(n), 2).mid)
        if n % 25 == 24:
            client.cut()
    client.wait(lambda: all(mid in client.acked for mid in told))
    connects = client.connects
    client.end()
    return connects


def once_in(place):
    """Receives numbered messages of quality 2, and loses its connection now and then."""
    client = Client(place, "once-in", clean=False, expiry=600)
    client.subscribe("once/in", 2)
    print("ready", flush=True)
    for n in range(1, place["count"], 25):
        client.wait(lambda: len(client.messages) >= n)
        client.cut()
    client.wait(lambda: len(client.messages) >= place["count"])
    time.sleep(1)
    got = [json.loads(m.payload) for m in client.messages]
    client.end()
    return got


def vanish(place):
    """Ends without a word, of which its will tells."""
    Client(place, "vanish", will=("wills/py", b'{"lost":true}', 1))
    os._exit(0)


def many(place):
    """So many clients at once, each of which hears a message of another."""
    clients = [Client(place, "many-%d" % n) for n in range(place["count"])]
    for n, client in enumerate(clients):
        client.subscribe("many/%d" % n, 1)
    print("ready", flush=True)
    for n, client in enumerate(clients):
        client.publish("many/%d" % ((n + 1) % len(clients)), b"x", 1)
    for client in clients:
        client.wait(lambda: client.messages)
    return len(clients)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](json.loads(sys.argv[2]))), flush=True)
    os._exit(0)

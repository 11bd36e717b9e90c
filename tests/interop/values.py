"""Values by Python's cbor2, which knows nothing of us: `write` prints some in hexadecimal, by name; `read`
checks those that it is given on standard input."""

import sys
from datetime import datetime, timezone
from math import inf, isnan

import cbor2

WHEN = datetime(2026, 11, 21, 12, 30, 15, 500000, tzinfo=timezone.utc)


def cyclic():
    ring = ["a"]
    ring.append({"ring": ring})
    return ring


def shared():
    part = {"n": 1}
    return [part, part, {"n": 1}]


VALUES = {
    "plain": {"null": None, "yes": True, "text": "ä€😀", "list": [1, -1, 1.5, 0.1, 1e300, inf]},
    "integers": [0, 23, 24, 255, 256, 2**32, 2**53, 2**64 - 1, -(2**64), 2**64, 2**100, -(2**100)],
    "bytes": [b"", b"\x00\xff" * 100],
    "date": WHEN,
    "set": {1, 2, 3},
    "map": {1: "one", "two": 2, (3,): None},
    "shared": shared(),
    "cyclic": cyclic(),
}


def write():
    for name, value in VALUES.items():
        # A set and a key cannot be shared by this library, which writes them without marks.
        marks = name in ("shared", "cyclic")
        print(name, cbor2.dumps(value, value_sharing=marks).hex())
    print("date-seconds", cbor2.dumps(WHEN, datetime_as_timestamp=True).hex())


def read():
    for line in sys.stdin:
        name, text = line.split()
        value = cbor2.loads(bytes.fromhex(text))
        if name == "shared":
            assert value == VALUES[name], value
            assert value[0] is value[1] and value[0] is not value[2], value
        elif name == "cyclic":
            assert value[0] == "a" and value[1]["ring"] is value, value
        elif name == "not-a-number":
            assert isnan(value), value
        elif name == "map":
            # A map with keys of any kind has a tag, which this library leaves to its users.
            assert value.tag == 259 and value.value == VALUES[name], value
        else:
            assert value == VALUES[name], f"{name}: {value}"
        print(name)


{"write": write, "read": read}[sys.argv[1]]()

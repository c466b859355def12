"""A client of the PostgreSQL protocol that sends messages as a test makes them, and shows the answers message by message."""

import base64
import hashlib
import hmac
import os
import select
import socket
import struct

PATIENCE = 20


def message(tag, *parts):
    body = b"".join(parts)
    return tag.encode() + struct.pack("!i", len(body) + 4) + body


def text(value):
    return (value if isinstance(value, bytes) else value.encode()) + b"\0"


def query(sql):
    return message("Q", text(sql))


def parse(sql, name="", types=()):
    return message("P", text(name), text(sql), struct.pack("!h", len(types)), *(struct.pack("!i", one) for one in types))


def bind(values=(), statement="", portal="", formats=(), results=()):
    parts = [text(portal), text(statement)]
    parts.append(struct.pack(f"!h{len(formats)}h", len(formats), *formats))
    parts.append(struct.pack("!h", len(values)))
    for value in values:
        if value is None:
            parts.append(struct.pack("!i", -1))
        else:
            value = value if isinstance(value, bytes) else str(value).encode()
            parts.append(struct.pack("!i", len(value)) + value)
    parts.append(struct.pack(f"!h{len(results)}h", len(results), *results))
    return message("B", *parts)


def describe(kind, name=""):
    return message("D", kind.encode(), text(name))


def execute(portal="", rows=0):
    return message("E", text(portal), struct.pack("!i", rows))


def close(kind, name=""):
    return message("C", kind.encode(), text(name))


def function_call(number, *values, result=0):
    parts = [struct.pack("!ihh", number, 0, len(values))]
    for value in values:
        value = value if isinstance(value, bytes) else str(value).encode()
        parts.append(struct.pack("!i", len(value)) + value)
    return message("F", *parts, struct.pack("!h", result))


FLUSH, SYNC, TERMINATE, COPY_DONE = message("H"), message("S"), message("X"), message("c")


def copy_data(data):
    return message("d", data)


def copy_fail(reason):
    return message("f", text(reason))


class Ended(Exception):
    """The server has closed the connection."""


class Wire:
    """One connection, logged in."""

    def __init__(self, port, user, password, database, **settings):
        self.socket = socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.parameters = {}
        self.password = password
        body = struct.pack("!i", 3 << 16)
        for name, value in {"user": user, "database": database, **settings}.items():
            body += text(name) + text(value)
        body += b"\0"
        self.send(struct.pack("!i", len(body) + 4) + body)
        self.login()

    def login(self):
        while True:
            tag, body = self.next()
            if tag == "R":
                self.authenticate(struct.unpack("!i", body[:4])[0], body[4:])
            elif tag == "S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif tag == "K":
                self.process, self.key = struct.unpack("!ii", body)
            elif tag == "E":
                raise Ended(str(shown(tag, body)))
            elif tag == "Z":
                return

    def authenticate(self, kind, body):
        if kind == 10:
            self.first = "n=,r=" + base64.b64encode(os.urandom(18)).decode()
            data = ("n,," + self.first).encode()
            self.send(message("p", text("SCRAM-SHA-256"), struct.pack("!i", len(data)), data))
        elif kind == 11:
            fields = dict(part.split("=", 1) for part in body.decode().split(","))
            salted = hashlib.pbkdf2_hmac(
                "sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"])
            )
            key = hmac.digest(salted, b"Client Key", "sha256")
            last = "c=biws,r=" + fields["r"]
            signed = ",".join((self.first, body.decode(), last)).encode()
            signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
            proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
            self.send(message("p", f"{last},p={proof}".encode()))

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def next(self):
        while len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack("!i", self.buffer[1:5])[0]:
            try:
                more = self.socket.recv(1 << 16)
            except ConnectionResetError:
                more = b""
            if not more:
                raise Ended
            self.buffer += more
        length = 1 + struct.unpack("!i", self.buffer[1:5])[0]
        tag, body, self.buffer = chr(self.buffer[0]), self.buffer[5:length], self.buffer[length:]
        return tag, body

    def answer(self, until="Z", count=1):
        """What came up to the `count`-th message of these types, readable; or up to the end of the connection."""
        answers = []
        while count:
            try:
                tag, body = self.next()
            except Ended:
                return answers + [("end",)]
            if tag == "S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
                continue
            answers.append(shown(tag, body))
            count -= tag in until
        return answers

    def ask(self, *messages, until="Z", count=1):
        self.send(*messages)
        return self.answer(until, count)

    def rows(self, sql):
        """The rows of a simple query, as texts."""
        answers = self.ask(query(sql))
        errors = [answer for answer in answers if answer[0] == "E"]
        assert not errors, (sql, errors)
        return [answer[1:] for answer in answers if answer[0] == "D"]

    def is_silent(self, seconds):
        return not self.buffer and not select.select([self.socket], [], [], seconds)[0]

    def close(self):
        self.socket.close()


# Fields of errors that say where in the server's own source they were raised, and the localised severity.
UNTOLD = b"FLRS"


def shown(tag, body):
    """A message without what differs from one connection to another."""
    if tag in "EN":
        fields = {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part and part[0] not in UNTOLD}
        return (tag, *sorted(fields.items()))
    if tag == "D":
        values, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            (length,) = struct.unpack("!i", body[at : at + 4])
            at += 4
            values.append(None if length < 0 else body[at : at + length])
            at += max(length, 0)
        return (tag, *values)
    if tag == "T":
        columns, at = [], 2
        for _ in range(struct.unpack("!h", body[:2])[0]):
            end = body.index(b"\0", at)
            table, attribute, kind, size, modifier, form = struct.unpack("!ihihih", body[end + 1 : end + 19])
            columns.append((body[at:end].decode(), bool(table), attribute, kind, size, modifier, form))
            at = end + 19
        return (tag, *columns)
    if tag == "A":
        return (tag, struct.unpack("!i", body[:4])[0], *body[4:].split(b"\0")[:2])
    return (tag, body)

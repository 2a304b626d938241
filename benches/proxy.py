"""A proxy on loopback that records when requests came and when they were refused."""
import socket, threading, time

HEAD_END = b"\r\n\r\n"


class Proxy:
    """Passes requests on, one at a time on each connection, and notes when each came, for what, with which answer, and when each
    429 was handed over."""

    def __init__(self, to):
        self.to, self.came, self.refused, self.lock = to, [], [], threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, socket.create_connection(("127.0.0.1", self.to)) as server:
                while head := read_head(client):
                    asked = [time.monotonic(), head.split(b" ", 2)[1].decode("latin1"), None]
                    with self.lock:
                        self.came.append(asked)
                    server.sendall(head)
                    asked[2] = self.answer(server, client)
        except OSError:
            pass

    def answer(self, server, client):
        head = read_head(server)
        if not head:
            raise OSError("closed")
        lines = head.decode("latin1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        body = b""
        if "content-length" in headers:
            body = read_exactly(server, int(headers["content-length"]))
        elif headers.get("transfer-encoding", "").lower() == "chunked":
            body = read_chunked(server)
        status = int(lines[0].split(" ")[1])
        if status == 429:
            with self.lock:
                self.refused.append((time.monotonic(), float(headers.get("retry-after", 0))))
        client.sendall(head + body)
        return status


def read_head(source):
    head = b""
    while not head.endswith(HEAD_END):
        byte = source.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def read_exactly(source, length):
    parts = []
    while length:
        part = source.recv(min(length, 1 << 16))
        if not part:
            raise OSError("closed")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def read_chunked(source):
    whole = b""
    while True:
        line = b""
        while not line.endswith(b"\r\n"):
            line += read_exactly(source, 1)
        whole += line + read_exactly(source, int(line.split(b";")[0], 16) + 2)
        if line.strip() == b"0":
            return whole

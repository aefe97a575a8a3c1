#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What ssh is for `xl migrate`, without secrets: with a host and a command, runs that there, its input and output
here; without, does so for others."""
import os
import socket
import socketserver
import subprocess
import sys
import threading

PORT = 7000


class Shell(socketserver.StreamRequestHandler):
    # What follows the command is for the command.
    rbufsize = 0

    def handle(self):
        command = self.rfile.readline().decode()
        subprocess.run(["sh", "-c", command], stdin=self.connection, stdout=self.connection, check=False)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def send(connection):
    while data := os.read(0, 65536):
        connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


if len(sys.argv) == 1:
    Server(("", PORT), Shell).serve_forever()
connection = socket.create_connection((sys.argv[1], PORT), 60)
connection.settimeout(None)
connection.sendall(" ".join(sys.argv[2:]).encode() + b"\n")
threading.Thread(target=send, args=[connection], daemon=True).start()
while data := connection.recv(65536):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
os._exit(0)

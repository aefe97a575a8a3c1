# SPDX-License-Identifier: MIT OR Apache-2.0
# Two hundred connections one after the other, and others that say nothing meanwhile.
exec python3 -c 'import socket
server = ("192.0.2.2", 80)
silent = [socket.create_connection(server, 20) for _ in range(8)]
for number in range(200):
    connection = socket.create_connection(server, 20)
    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = b""
    while piece := connection.recv(65536):
        answer += piece
    assert b"doctype" in answer, (number, answer)
    connection.close()
print(number + 1, "connections,", len(silent), "others all the time")'

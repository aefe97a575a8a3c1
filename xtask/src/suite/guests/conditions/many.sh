# SPDX-License-Identifier: MIT OR Apache-2.0
# Forty disks, of which the last one has the files, and sixteen interfaces, of which the guest is told how to use one.
# It is not the toolstack that is tested: all but these two are written into xenstore as it does, over one connection,
# as each of its commands would take a second and more.
bridge 10.0.0.1/24
truncate -s 1M /tmp/empty.disk
empty=$(losetup -f --show -r /tmp/empty.disk)
devices='
import os, socket, struct, sys
domain, device = int(sys.argv[1]), os.stat(sys.argv[2]).st_rdev
store = socket.socket(socket.AF_UNIX)
store.connect("/run/xenstored/socket")
def ask(kind, payload, transaction=0):
    store.sendall(struct.pack("<IIII", kind, 1, transaction, len(payload)) + payload)
    answer, _, _, length = struct.unpack("<IIII", store.recv(16, socket.MSG_WAITALL))
    words = store.recv(length, socket.MSG_WAITALL)
    if words == b"EAGAIN\0": raise BlockingIOError
    assert answer == kind, (payload, words)
    return words
# The backend looks at a device when its directory is there: all of it has to come at once. Without a name for its
# thread a disk is connected, and served by nobody.
def add(*device):
    while True:
        transaction = int(ask(6, b"\0").strip(b"\0"))
        write(transaction, *device)
        try:
            return ask(7, b"T\0", transaction)
        except BlockingIOError:
            pass
def write(transaction, kind, number, front, back):
    place = "/local/domain/%d/device/%s/%d" % (domain, kind, number)
    paths = place, "/local/domain/0/backend/%s/%d/%d" % (kind, domain, number)
    owners = b"n%d\0r0\0" % domain, b"n0\0r%d\0" % domain
    for path, owner in zip(paths, owners):
        ask(12, path.encode() + b"\0", transaction)
        ask(14, path.encode() + b"\0" + owner, transaction)
    front = {"backend": paths[1], "backend-id": 0, "state": 1} | front
    back = {"frontend": paths[0], "frontend-id": domain, "online": 1, "state": 1, "hotplug-status": "connected"} | back
    for path, words in zip(paths, (front, back)):
        for name, word in words.items():
            ask(11, ("%s/%s" % (path, name)).encode() + b"\0" + str(word).encode(), transaction)
for disk in range(39):
    number = 202 << 8 | disk << 4 if disk < 16 else 1 << 28 | disk << 8
    name = "xvd" + (chr(97 + disk) if disk < 26 else "a" + chr(97 + disk - 26))
    disk = {"virtual-device": number, "device-type": "disk"}
    add("vbd", number, disk, {"dev": name, "physical-device": "%x:%x" % (os.major(device), os.minor(device)), "mode": "r"})
for interface in range(1, 16):
    mac = "00:16:3e:00:01:%02x" % interface
    add("vif", interface, {"handle": interface, "mac": mac}, {"handle": interface, "mac": mac, "script": "none"})
'
python3 -c "$devices" $DOMID "$empty" || exit 1
site xvdan
connect
begin http://10.0.0.2
check 'all disks are told of' [ "$(grep -o 'xvd[a-z]*' "$log" | sort -u | wc -l)" -ge 40 ]
check 'all interfaces work' sh -c "xenstore-ls /local/domain/0/backend/vif/$DOMID | grep -c 'state = .4' | grep -qx 16"
check 'a file off the fortieth disk arrives whole' arrives 1 "$eight" curl -sS -m 300 http://10.0.0.2/eight.bin
end

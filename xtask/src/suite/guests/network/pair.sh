# SPDX-License-Identifier: MIT OR Apache-2.0
# A second guest of the same image gets a lease of its own, asks for the first one's address by name, and
# is its client. It is a PVH guest where the first is HVM, as that takes a command line.
image=$(sed -n 's/^\(kernel\|firmware_override\) = "\(.*\)"/\2/p' /tmp/$GUEST.cfg)
type=$(sed -n 's/^type = "\(.*\)"/\1/p' /tmp/$GUEST.cfg)
[ "$type" = hvm ] && type=pvh
log=/var/log/xen/guest-second.log
rm -f $log
cat >/tmp/second.cfg <<END
name = "second"
type = "$type"
kernel = "$image"
cmdline = "client=guest.test"
memory = 64
on_crash = "destroy"
vif = [ "mac=00:16:3e:00:00:03,bridge=xenbr0" ]
END
xl create -q /tmp/second.cfg || exit 1
said 'Test result' $log
cat $log
xl destroy second 2>/dev/null
grep -q '00:16:3e:00:00:03 192.0.2.' /run/leases || { echo "no lease"; cat /run/leases; exit 1; }
grep -q 'Test result: SUCCESS' $log

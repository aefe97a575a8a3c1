# SPDX-License-Identifier: MIT OR Apache-2.0
# The guest serves a FAT disk: a file in a directory, by its long name, whole and in part.
f=/tmp/site.img
rm -f $f; truncate -s 32M $f; mkfs.fat $f >/dev/null; mkdir -p /tmp/site "/tmp/site/a long name"
mount -o loop $f /tmp/site; mkdir -p "/tmp/site/a long name"
head -c 4000001 /dev/urandom >"/tmp/site/a long name/some file.bin"; echo '<p>fat</p>' >/tmp/site/index.html
h=$(sha256sum <"/tmp/site/a long name/some file.bin")
tail -c 2000000 "/tmp/site/a long name/some file.bin" | head -c 1000 >/tmp/part
umount /tmp/site
start $f
is "$(fetch http://192.0.2.2/)" '<p>fat</p>'
is "$(fetch http://192.0.2.2/a%20long%20name/some%20file.bin | sha256sum)" "$h"
fetch -r 2000001-2001000 http://192.0.2.2/a%20long%20name/some%20file.bin | cmp - /tmp/part
is "$(fetch -o /dev/null -w '%{http_code}' http://192.0.2.2/a%20long%20name)" 404
is "$(fetch -o /dev/null -w '%{http_code}' http://192.0.2.2/missing/file)" 404
tag=$(fetch -I http://192.0.2.2/ | tr -d '\r' | sed -n 's/^ETag: //p')
is "$(fetch -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" http://192.0.2.2/)" 304
# Several at once, one of whom goes away.
for client in 1 2 3; do (fetch "http://192.0.2.2/a%20long%20name/some%20file.bin" | sha256sum >/tmp/sum$client) & done
fetch -m 0.1 http://192.0.2.2/a%20long%20name/some%20file.bin >/dev/null 2>&1 || true
wait
for client in 1 2 3; do is "$(cat /tmp/sum$client)" "$h"; done
fetch http://192.0.2.2/metrics | grep prism_network_sent
xl shutdown $DOMID

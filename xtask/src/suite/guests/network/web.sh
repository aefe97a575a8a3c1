# SPDX-License-Identifier: MIT OR Apache-2.0
# curl and wrk agree with the web server.
set -e
fetch() { curl -sS -m 120 "$@"; }
is() { [ "$1" = "$2" ] || { echo "it is '$1', not '$2'"; exit 1; }; }

is "$(fetch http://192.0.2.2/ | head -1)" '<!doctype html>'
# The guest may have to ask for routers a second time, after four seconds (RFC 4861, 6.3.7).
i=0
until ping -q -c 1 -W 1 2001:db8::216:3eff:fe00:2 >/dev/null; do
    i=$((i + 1))
    [ $i -lt 90 ] || { echo 'no address of IPv6'; exit 1; }
done
is "$(fetch -g 'http://[2001:db8::216:3eff:fe00:2]/' | head -1)" '<!doctype html>'
is "$(fetch -r 2-8 http://192.0.2.2/)" doctype
is "$(fetch -o /dev/null -w '%{http_code}' http://192.0.2.2/missing)" 404
is "$(fetch -o /dev/null -w '%{http_code}' --path-as-is http://192.0.2.2/../x)" 404
is "$(fetch -o /dev/null -w '%{http_code}' -d x http://192.0.2.2/)" 405
is "$(fetch -o /dev/null -w '%{http_code}' -X GET -d x http://192.0.2.2/)" 413
# What is still sent does not cost the client its answer.
dd if=/dev/zero of=/tmp/upload bs=64k count=8 2>/dev/null
is "$(fetch -o /dev/null -w '%{http_code}' -H Expect: --data-binary @/tmp/upload http://192.0.2.2/)" 405
# As clients of a proxy ask.
is "$(fetch -x http://192.0.2.2:80 http://any.test/ | head -1)" '<!doctype html>'
is "$(fetch -I -r 2-8 -o /dev/null -w '%{http_code}' http://192.0.2.2/)" 200
is "$(fetch -o /dev/null -w '%{http_code}' -X DELETE http://192.0.2.2/)" 405
tag=$(fetch -I http://192.0.2.2/ | tr -d '\r' | sed -n 's/^ETag: //p')
is "$(fetch -o /dev/null -w '%{http_code}' -H "If-None-Match: $tag" http://192.0.2.2/)" 304
# Both over one connection.
is "$(fetch -o /dev/null -o /dev/null -w '%{num_connects} ' http://192.0.2.2/ http://192.0.2.2/metrics)" '1 0 '

wrk -t 1 -c 16 -d "${seconds:-5}" http://192.0.2.2/ >/tmp/wrk
cat /tmp/wrk
grep -q 'requests in' /tmp/wrk
! grep -E 'Socket errors|Non-2xx' /tmp/wrk
fetch http://192.0.2.2/metrics | grep -q '^prism_http_responses_total{code="404"} 2$'

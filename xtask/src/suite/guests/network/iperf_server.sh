# SPDX-License-Identifier: MIT OR Apache-2.0
# A real iperf3 is measured with, for one test.
set -e
iperf3 -s -1 -J >/tmp/iperf.json
python3 -c 'import json; end = json.load(open("/tmp/iperf.json"))["end"]
bytes = end["sum_received"]["bytes"]
assert bytes > 1000000, end
print("the server has received", bytes)'

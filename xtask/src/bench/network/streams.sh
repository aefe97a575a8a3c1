# SPDX-License-Identifier: MIT OR Apache-2.0
measure ping ping -q -f -c 500 192.0.2.2
measure out iperf3 -c 192.0.2.2 -t 3 -J -R
measure in iperf3 -c 192.0.2.2 -t 3 -J
measure flood iperf3 -c 192.0.2.2 -t 2 -J -R -u -b 0 -l 1400

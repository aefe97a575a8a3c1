# SPDX-License-Identifier: MIT OR Apache-2.0
measure http wrk -t 1 -c 16 -d 3 http://192.0.2.2/

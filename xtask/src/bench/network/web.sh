# SPDX-License-Identifier: MIT OR Apache-2.0
measure request wrk -t 1 -c 1 -d 3 http://192.0.2.2/
measure http wrk -t 1 -c 16 -d 3 http://192.0.2.2/

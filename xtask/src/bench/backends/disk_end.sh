# SPDX-License-Identifier: MIT OR Apache-2.0
echo '=== console'
cat $log
xl destroy front

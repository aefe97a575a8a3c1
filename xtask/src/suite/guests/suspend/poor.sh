# SPDX-License-Identifier: MIT OR Apache-2.0
# Restores a guest where something is missing: with its own configuration but for the lines that begin with $1, and
# with the line $2 instead.
restore_poorly() {
    { sed "/^$1/d" /tmp/$GUEST.cfg; echo "$2"; } >/tmp/$GUEST.poor
    xl restore /tmp/$GUEST.poor $image
}

# SPDX-License-Identifier: MIT OR Apache-2.0
# Asks the guest in all ways, and then whether it still listens.
control=/local/domain/$DOMID/control
for i in 1 2 3; do
    xl trigger $DOMID nmi || exit 1
done
for key in h m t w X l; do
    press $key || exit 1
done
for feature in poweroff reboot suspend; do
    [ "$(xenstore-read $control/feature-$feature)" = 1 ] || { echo "feature-$feature is not announced"; exit 1; }
done
xl shutdown $DOMID

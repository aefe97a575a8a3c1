# SPDX-License-Identifier: MIT OR Apache-2.0
# The sequence of steps that osstest, Xen's own test system, does with each kind of guest, by its names for them:
# `saves` and `migrations` say how often. The second guest has the same configuration, in keys of long ago, and a name
# of all kinds of characters, but the comma, by which QEMU divides it.
again="again: a guest's 2nd life by (old) keys + ü"
step() {
    echo "step: $1"
    shift
    "$@" >/tmp/step 2>&1 || { cat /tmp/step; exit 1; }
}
answers() {
    curl -sS -m 120 -o /dev/null http://192.0.2.2/
}
again_and_again() {
    count=$1
    shift
    for time in $(seq "$count"); do
        "$@" && answers || { echo "not the ${time}th time"; return 1; }
    done
}
start_again() {
    sed -e "s/^name.*/name = \"$again\"/" -e '/^cmdline/d' -e 's/^type = "hvm"/builder = "hvm"/' \
        -e 's/^type = "pv"/builder = "generic"/' -e 's/^type = "pvh"/builder = "generic"\npvh = 1/' \
        /tmp/$GUEST.cfg >/tmp/again.cfg
    # An image in place of the firmware has no command line.
    grep -q ^firmware /tmp/again.cfg || printf 'root = "builtin"\nextra = "log"\n' >>/tmp/again.cfg
    xl create -q /tmp/again.cfg || return 1
    said ': ready' "/var/log/xen/guest-$again.log"
    answers
}
is_gone() {
    xl destroy "$again" && ! xl domid "$again"
}
step guest-start answers
step guest-saverestore again_and_again $saves save_and_restore
step guest-localmigrate again_and_again $migrations migrate
step guest-saverestore.2 again_and_again $saves save_and_restore
step guest-stop xl shutdown -w $GUEST
step guest-start.2 start_again
step guest-destroy is_gone
echo "all steps are done"

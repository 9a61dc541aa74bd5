/**
 * What runs in a guest: the text of its /init, for busybox's shell. It loads the modules that image.ts put there, in order, and then carries
 * out commands that come over a virtio port (vm.ts), one after the other. A port, since an emulated UART loses an interrupt now and then.
 *
 * A request is a line `NUMBER SECONDS COMMAND`, the command in base64; an answer is `NUMBER`, lines of base64, `NUMBER end STATUS`.
 */

/** Said on the line when commands are taken, also after each reboot. */
export const READY = 'weft-guest ready';

/** The file that names the modules, one a line. */
export const MODULES_FILE = 'lib/modules/order';

export const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
while read -r module; do insmod /lib/modules/$module; done </${MODULES_FILE}
ip link set lo up
exec 3<>/dev/vport0p1 <&3 >&3 3>&- 2>/dev/console
echo
echo ${READY}
while read -r number seconds command; do
  echo "$command" | base64 -d >/run/command.$number
  timeout $seconds sh /run/command.$number >/run/output.$number 2>&1 </dev/null
  status=$?
  echo "$number"
  base64 /run/output.$number
  echo "$number end $status"
  rm -f /run/command.$number /run/output.$number
done
poweroff -f
`;

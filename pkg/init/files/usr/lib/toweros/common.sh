# Read by the other scripts here: where things are, what is said, how a container is made ready.

export PATH=/usr/sbin:/usr/bin
CONTAINERS=/containers
HANDOVER=/run/toweros
NAMESPACE=services.linuxkit
LOG_LIMIT=65536  # bytes of a boot's log that stay on the disk

# Every line begins with the seconds since power-on, as the kernel's own do: the clock may still jump.
say() {
	read -r uptime _ </proc/uptime
	echo "[$uptime] init: $*" >/dev/console
	echo "[$uptime] init: $*" >>$HANDOVER/init.log
}

# The log of this boot, on the disk: what the agent sends when the release fails.
save_log() {
	sequence=$(jq -r .sequence $HANDOVER/boot.json 2>/dev/null)
	[ -d $HANDOVER/disk/state ] || return
	cat $HANDOVER/initrd.log $HANDOVER/init.log 2>/dev/null |
		tail -c $LOG_LIMIT >"$HANDOVER/disk/state/boot-${sequence:-unknown}.log"
}

# prepare FOLDER: carry out runtime.json, as LinuxKit's init does: mounts, then folders.
prepare() {
	jq -r '(.mounts[]? | ["mount", .source // "", .destination, .type // "", (.options // [] | join(","))]),
		(.mkdir[]? | ["mkdir", "", .]) | join("|")' "$1/runtime.json" >"/run/prepare.$$"
	while IFS='|' read -r verb source destination type options; do
		case $verb in
		mount) mount_one "$source" "$destination" "$type" "$options" || say "cannot mount $destination" ;;
		mkdir) mkdir -p "$destination" ;;
		esac
	done <"/run/prepare.$$"
	rm -f "/run/prepare.$$"
}

mount_one() {
	case $4 in
	*remount*private*)
		mount --make-private "$2"
		return
		;;
	esac
	[ -e "$2" ] || mkdir -p "$2"
	case $3 in
	overlay)
		for option in $(echo "$4" | tr , ' '); do
			case $option in upperdir=* | workdir=*) mkdir -p "${option#*=}" ;; esac
		done
		;;
	esac
	case ,$4, in
	*,rbind,*) mount --rbind "$1" "$2" ;;
	*,bind,*) mount --bind "$1" "$2" ;;
	*)
		mount ${3:+-t "$3"} ${4:+-o "$4"} "$1" "$2"
		return
		;;
	esac || return
	case ,$4, in *,rshared,*) mount --make-rshared "$2" ;; esac
	case ,$4, in *,ro,*) mount -o remount,bind,ro "$2" ;; esac
}

# bind_namespaces FOLDER PID: keep a container's namespaces at the paths that runtime.json names.
bind_namespaces() {
	grep -q '"bindNS"' "$1/runtime.json" || return 0
	jq -r '.bindNS // {} | to_entries[] | select(.value != "") | "\(.key) \(.value)"' "$1/runtime.json" |
		while read -r kind path; do
			mkdir -p "${path%/*}"
			: >"$path"
			mount --bind "/proc/$2/ns/$kind" "$path" || say "cannot keep the $kind namespace of $1"
		done
}

# run_once GROUP: run the containers of onboot or onshutdown, one after another; a failing one stops nothing.
run_once() {
	mkdir -p "$HANDOVER/$1" "$HANDOVER/log"
	for folder in $CONTAINERS/"$1"/*; do
		[ -f "$folder/config.json" ] || continue
		name=${folder##*/}
		log=$HANDOVER/log/$1-$name
		prepare "$folder"
		# A pipe, so that what it says has bounds; a name, so that the exit code is runc's.
		mkfifo "/run/$name.out"
		/usr/lib/toweros/keep "$log" <"/run/$name.out" &
		keeper=$!
		runc run --bundle "$folder" --pid-file "/run/$name.pid" "$name" </dev/null >"/run/$name.out" 2>&1 &
		runner=$!
		if grep -q '"bindNS"' "$folder/runtime.json" && jq -e '.bindNS | any(. != "")' "$folder/runtime.json" >/dev/null; then
			wait_for_file "/run/$name.pid" && bind_namespaces "$folder" "$(cat "/run/$name.pid")"
		fi
		wait $runner
		code=$?
		echo $code >"$HANDOVER/$1/$name"
		wait_until_gone $keeper
		rm "/run/$name.out"
		head -c 4096 "$log" >>$HANDOVER/init.log
		say "$1 $name: exit $code"
	done
}

# Its last words are on their way; a program that it left behind may hold the pipe for ever.
wait_until_gone() {
	tries=0
	while kill -0 "$1" 2>/dev/null && [ $tries -lt 20 ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
}

wait_for_file() {
	tries=0
	while [ ! -e "$1" ]; do
		[ $tries -lt 100 ] || return 1
		tries=$((tries + 1))
		sleep 0.1
	done
}

# Read by the other scripts here: where things are, what is said, how a container is made ready.

export PATH=/usr/sbin:/usr/bin
CONTAINERS=/containers
HANDOVER=/run/toweros
NAMESPACE=services.linuxkit
AROUND=/usr/lib/toweros/around
TASKS=/run/containerd/io.containerd.runtime.v2.task
LOG_LIMIT=65536  # bytes of a boot's log that stay on the disk
CGROUPS=/sys/fs/cgroup
MEMINFO=/proc/meminfo

# What a container may take unless its spec says otherwise (docs/spec.md, "Limits").
PIDS=1024          # processes and threads
MEMORY=50          # per cent of the box's memory
TMPFS=size=10%     # of memory, each tmpfs
WRITABLE=size=25%  # what is written into the root of a container that is not read-only

# Every line begins with the seconds since power-on, as the kernel's own do: the clock may still jump.
say() {
	read -r uptime _ </proc/uptime
	echo "[$uptime] init: $*" >/dev/console
	echo "[$uptime] init: $*" >>$HANDOVER/init.log
}

# The clock may jump when the network is up.
uptime_seconds() {
	cut -d . -f 1 /proc/uptime
}

# The log of this boot, on the disk: what the agent sends when the release fails.
save_log() {
	sequence=$(jq -r .sequence $HANDOVER/boot.json 2>/dev/null)
	[ -d $HANDOVER/disk/state ] || return
	cat $HANDOVER/initrd.log $HANDOVER/init.log 2>/dev/null |
		tail -c $LOG_LIMIT >"$HANDOVER/disk/state/boot-${sequence:-unknown}.log"
}

# --- what everybody may take ---

# share PERCENT: so much of the box's memory, in bytes.
share() {
	read -r _ kib _ <$MEMINFO  # its first line is MemTotal
	echo $((kib * 1024 / 100 * $1))
}

# limit FOLDER FILE VALUE: a kernel without that controller has no such file.
limit() {
	echo "$3" 2>/dev/null >"$CGROUPS$1/$2" || say "cannot set $2 of $1 to $3"
}

# make_group PATH: a cgroup, and that those above it give it every controller. With processes in it, it could give none.
make_group() {
	place= rest=$1/
	while rest=${rest#/} && [ -n "$rest" ]; do
		delegate "$place"
		place=$place/${rest%%/*} rest=${rest#*/}
		mkdir -p "$CGROUPS$place"
	done
}

delegate() {
	read -r controllers <"$CGROUPS$1/cgroup.controllers" || return
	for controller in $controllers; do
		echo "+$controller" 2>/dev/null >"$CGROUPS$1/cgroup.subtree_control"
	done
}

# bound GROUP FOLDER NAME OUT: write the config.json of FOLDER to OUT, in a cgroup of GROUP unless it names one of the core,
# and bound that. It ends in the name of the container, by which the agent counts; another path than the schema takes is
# as if nothing were said. The container is in `run` below it, which goes with it: what it was refused stays counted in ours.
#
# Without a score of its own it would have that of containerd's shims, which nothing ends. What runs out of memory ends as
# a whole: half a service is worse than one that is started again.
bound() {
	runtime=$2/runtime.json
	[ -f "$runtime" ] || runtime=/dev/null
	jq -r --arg group "$1" --arg name "$3" --arg folder "$2" --arg size $TMPFS --arg kept "$(share 10)" \
		--slurpfile runtime "$runtime" --arg around $AROUND --argjson pids $PIDS --argjson memory "$(share $MEMORY)" '
		(.linux.cgroupsPath // "" | split("/")) as $said
		| ($said | any(. == "" or . == "." or . == ".." or . == "run")) as $odd
		| ($said[:2] == ["", "core"] and ($said | length) == 3 and ($said[2] | IN("", ".", "..", "containerd") | not)) as $core
		| (if $core then $said | join("/") elif $odd or $said == [] then "/\($group)/\($name)"
			else "/" + ([$group] + $said + (if $said[-1] == $name then [] else [$name] end) | join("/")) end) as $path
		| .root.path = $folder + "/rootfs" | .linux.cgroupsPath = $path + "/run" | .process.oomScoreAdj //= 0
		| .linux.resources.unified."memory.oom.group" //= "1"
		| if $core then .linux.resources.unified."memory.min" //= $kept else . end
		| .mounts |= map(if .type == "tmpfs" and (any(.options[]?; startswith("size=")) | not) then .options += [$size] else . end)
		| if $runtime[0] | (.interfaces // []) != [] or (.bindNS // {} | any((. // "") != "")) then
			.hooks.createRuntime += [{path: $around, args: [$around, $folder], timeout: 60}] else . end
		| .linux.resources as $said | ($said.unified | {"memory.oom.group", "memory.min"}) as $more
		| $path, ($said.pids.limit // $pids), ($said.memory.limit // if $core then -1 else $memory end),
			$more."memory.oom.group", ($more."memory.min" // 0), .' "$2/config.json" | {
		read -r path && read -r pids && read -r memory && read -r whole && read -r kept && cat >"$4" || return
		make_group "$path"
		limit "$path" pids.max "$(below_all "$path" "$(positive "$pids")")"
		limit "$path" memory.max "$(positive "$memory")"
		limit "$path" memory.oom.group "$whole"
		limit "$path" memory.min "$kept"
		# As much as containerd: while that starts everything else, the agent would get a tenth, and has a watchdog to feed.
		case $path in /core/*) limit "$path" cpu.weight 1000 ;; esac
	}
}

# positive NUMBER: what makes no sense is no limit. One of 0 would end the box.
positive() {
	[ "$1" -gt 0 ] && echo "$1" || echo max
}

# below_all PATH PIDS: no service alone takes all that the services together may have: of a small box, that is little.
below_all() {
	all=$(cat "$CGROUPS/services/pids.max" 2>/dev/null)
	case $1,$all in
	/services/*,[0-9]*)
		most=$((all * 7 / 8))
		[ "$2" != max ] && [ "$2" -lt $most ] && echo "$2" || echo $most
		;;
	*) echo "$2" ;;
	esac
}

# Until the agent runs, nobody else does. `boot` has it open as 9.
feed_watchdog() {
	{ printf . >&9; } 2>/dev/null
}

# --- containers ---

# prepare FOLDER: carry out runtime.json, as LinuxKit's init does: mounts, then folders, and cgroups, which are services'.
# The rest of it is for `around`.
prepare() {
	jq -r '(.mounts[]? | ["mount", .source // "", .destination, .type // "", (.options // [] | join(","))]),
		(.mkdir[]? | ["mkdir", "", .]), (.cgroups[]? | ["cgroup", "", .]) | join("|")' "$1/runtime.json" >"/run/prepare.$$"
	while IFS='|' read -r verb source destination type options; do
		case $verb in
		mount) mount_one "$source" "$destination" "$type" "$options" || say "cannot mount $destination" ;;
		mkdir) mkdir -p "$destination" ;;
		cgroup) make_group "/services/$destination" ;;
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
		options=$4
		case $3,$4 in tmpfs,*size=*) ;; tmpfs,*) options=$4${4:+,}$WRITABLE ;; esac
		mount ${3:+-t "$3"} ${options:+-o "$options"} "$1" "$2"
		return
		;;
	esac || return
	case ,$4, in *,rshared,*) mount --make-rshared "$2" ;; esac
	case ,$4, in *,ro,*) mount -o remount,bind,ro "$2" ;; esac
}

# namespace_of FOLDER: containerd's, for a service.
namespace_of() {
	said=$(sed -n 's/.*"namespace": *"\([^"]*\)".*/\1/p' "$1/runtime.json" 2>/dev/null)
	echo "${said:-$NAMESPACE}"
}

# run_once GROUP SECONDS: run the containers of onboot or onshutdown, one after another; a failing one stops nothing, and
# neither does one that hangs: each has SECONDS, or what its annotation says.
run_once() {
	mkdir -p "$HANDOVER/$1" "$HANDOVER/log"
	for folder in $CONTAINERS/"$1"/*; do
		[ -f "$folder/config.json" ] || continue
		name=${folder##*/}
		log=$HANDOVER/log/$1-$name
		bundle=/run/once/$name
		mkdir -p "$bundle"
		prepare "$folder" 9>&-
		bound "once" "$folder" "$name" "$bundle/config.json"
		seconds=$(sed -n 's/.*"org.toweros.timeout": *"\([0-9]*\)".*/\1/p' "$folder/config.json")
		seconds=${seconds:-$2}
		# A pipe, so that what it says has bounds; a name, so that the exit code is runc's.
		mkfifo "/run/$name.out"
		/usr/lib/toweros/keep "$log" <"/run/$name.out" 9>&- &
		keeper=$!
		runc run --bundle "$bundle" "$name" </dev/null >"/run/$name.out" 2>&1 9>&- &
		runner=$!
		end_late "$name" $runner "$seconds" &
		guard=$!
		wait $runner
		code=$?
		kill $guard 2>/dev/null
		wait $guard 2>/dev/null
		[ ! -e "/run/$name.late" ] || code="$code (it did not end within $seconds s)"
		out_of_memory "$name" && code="$code (out of memory)"
		echo "$code" >"$HANDOVER/$1/$name"
		wait_until_gone $keeper
		rm -rf "/run/$name.out" "/run/$name.late" "$bundle"
		head -c 4096 "$log" >>$HANDOVER/init.log
		say "$1 $name: exit $code"
	done
}

# end_late NAME RUNNER SECONDS: until then the watchdog is fed. What not even SIGKILL ends is left where it is.
end_late() {
	left=$3
	while [ "$left" -gt 0 ]; do
		feed_watchdog
		nap=$((left < 10 ? left : 10))
		# Ended with us it is not, and nobody can open the watchdog while it has it.
		sleep $nap 9>&- >/dev/null 2>&1
		left=$((left - nap))
	done
	: >"/run/$1.late"
	timeout 5 runc kill "$1" KILL 2>/dev/null 9>&-
	wait_until_gone "$2"
	kill -9 "$2" 2>/dev/null
}

out_of_memory() {
	grep -qs '^oom_kill [1-9]' "$CGROUPS/once/$1/memory.events"
}

# Its last words are on their way; a program that it left behind may hold the pipe for ever.
wait_until_gone() {
	tries=0
	while kill -0 "$1" 2>/dev/null && [ $tries -lt 20 ]; do
		tries=$((tries + 1))
		sleep 0.05
	done
}

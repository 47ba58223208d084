# SPDX-License-Identifier: MIT
"""Holds the program against the model: every view and command, over the stores of one tree."""

import errno
import json
import os
import subprocess
from collections import Counter, defaultdict

import model_stores
import mounts as mounts_module
from model import Model, parents
from model_votes import is_same_time
from model_shares import CHECKED, DIRECTORY, FILE, LINK

ACCESS = "system.posix_acl_access"
SHOWN = 12
LIMIT_S = mounts_module.LIFE_LIMIT_S  # against hanging: where tests yield to others, a second can take minutes
SMALL_FILE = 64 << 10  # no larger files are read whole when they are opened


class Comparison:
    """One tree, the model of it, and what the program makes of it that the model does not."""

    def __init__(self, mounts, folder, tree):
        self.mounts, self.folder, self.tree, self.rng = mounts, folder, tree, tree.rng
        self.stores, self.model = tree.stores, Model(tree.stores, tree.format, tree.required)
        self.key_words = ()  # of check and repair
        self.removes, self.unconfirmed = self.rng.random() < 0.5, self.rng.random() < 0.25
        self.place = folder / "stores"
        self.stories = {tree.raw(case.path): str(case) for case in tree.cases}
        self.wrong, self.counts = defaultdict(list), Counter(cases=len(tree.cases))

    def run(self):
        model_stores.write(self.place, self.stores)
        try:
            shown = Model(self.stores, self.tree.format, self.tree.required, True) if self.unconfirmed else self.model
            if shown.shows_nothing and not self.model.is_one_store and not self.model.is_empty:
                self.check_silent_views()
            if self.model.unknown or self.model.too_few or self.model.is_one_store:
                self.check_refusal()
            else:
                if not shown.shows_nothing:
                    self.check_views(shown)
                self.check_decode("decoded", shown)
                self.check_check()
                self.check_repair()
        finally:
            model_stores.remove(self.folder)

    def tell(self, what, path, text):
        self.wrong[what].append(f"{what}: {text}: {self.stories.get(path, path)}")

    # Running

    def options(self):
        return {
            "format": self.tree.format if self.tree.format not in CHECKED else None,
            "required": self.tree.required,
            "unconfirmed": self.unconfirmed or None,
        }

    def command(self, name, *words):
        words = [name, "--json", *self.key_words, *words]
        if self.tree.format not in CHECKED:
            words += ["--format", self.tree.format]
        if self.tree.required is not None:
            words += ["--required", str(self.tree.required)]
        try:
            done = subprocess.run([mounts_module.BINARY, *words], check=False, stdin=subprocess.DEVNULL,
                                  capture_output=True, timeout=LIMIT_S)  # fmt: skip
        except subprocess.TimeoutExpired:
            self.tell(name, "", f"is not done after {LIMIT_S} s")
            return -1, [], ""
        errors = done.stderr.decode(errors="backslashreplace")
        assert not mounts_module.SANITIZER.search(errors), errors
        if done.returncode not in range(5):
            self.tell(name, "", f"exit status {done.returncode}: {errors[-500:]}")
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], errors

    def check_refusal(self):
        status = 3 if self.model.is_one_store else 4 if self.model.unknown else 2
        self.owed_status("check", self.command("check", self.place), status)
        repaired = self.command("repair", self.place)
        if repaired[0] != 4 or not self.model.rule_7_needs_required():
            self.owed_status("repair", repaired, status)
        self.owed_status("decode", self.command("decode", self.place, self.folder / "decoded"), status)
        if not any(e.kind != DIRECTORY for tree in self.stores.values() for e in tree.values()):
            return
        found = model_stores.read(self.place)
        for name, tree in self.stores.items():
            if found[name] != tree:
                self.tell("refusal", "", f"store {name} was changed")

    def owed_status(self, name, result, owed):
        if result[0] != owed:
            self.tell(f"{name} status", "", f"{result[0]}, owed {owed}: {result[2][-300:]}")

    # Views

    def check_silent_views(self):
        """Nothing can be said of any name, so each is an error."""
        count = self.tree.count if self.tree.format != "fec" else None
        for what, options, folder in (("restored", {}, ""), ("rebuilt", {"shares": count}, "00")):
            view = getattr(self.mounts, what)(self.place, **self.options(), **options)
            view.expect_log(r".*", count=0)
            root = os.path.join(view.path, folder)
            for path in self.model.paths:
                ask = os.lstat if path else os.listdir
                self.owed_error(what, path, lambda: ask(os.path.join(root, path)))  # noqa: B023
            view.unmount()

    def check_views(self, model):
        view = self.mounts.restored(self.place, **self.options())
        view.expect_log(r".*", count=0)
        self.check_tree("restored", view.path, self.read_restored, model)
        view.unmount()
        count = self.tree.count if self.tree.format != "fec" else None
        view = self.mounts.rebuilt(self.place, **self.options(), shares=count)
        view.expect_log(r".*", count=0)
        self.check_rebuilt(view.path, model)
        view.unmount()

    def shown(self, model=None):
        """Path -> Name of all that a view has to show."""
        model = model or self.model
        return {p: n for p in model.paths if (n := model.name(p)).state in ("shown", "lost", "conflict")}

    def check_tree(self, what, root, read, model):
        for path, name in self.shown(model).items():
            place = os.path.join(root, path)
            try:
                if name.state == "conflict" and not name.file:
                    self.owed_error(what, path, lambda: os.lstat(place))  # noqa: B023
                    continue
                if name.state != "shown":
                    self.owed_error(what, path, lambda: model_stores.read_bytes(place))  # noqa: B023
                    continue
                entry = model_stores.entry_at(place, b"", None, self.is_bare(name))
            except OSError as error:
                self.tell(what, path, f"lstat: {error.strerror}")
                continue
            self.compare_entry(what, path, name, entry)
            if name.file and entry.kind == FILE:
                read(what, path, place, name.file)
        self.compare_listings(what, root, model)

    def is_bare(self, name):
        """Whether its attributes are not asked for: no store has any, and asking takes long."""
        return not any(entry.xattrs for entry in name.entries.values()) and self.rng.random() < 0.9

    def owed_error(self, what, path, function):
        try:
            function()
        except OSError as error:
            if error.errno != errno.EIO:
                self.tell(what, path, f"owed EIO, {error.strerror}")
            return
        self.tell(what, path, "owed EIO, there is no error")

    def compare_listings(self, what, root, model):
        for path, name in self.shown(model).items():
            if name.state != "shown" or name.kind[0] != DIRECTORY:
                continue
            try:
                found = set(os.listdir(os.path.join(root, path)))
            except OSError as error:
                self.tell(what, path, f"listing: {error.strerror}")
                continue
            owed = model.children(path)
            for one in found ^ owed:
                child = os.path.join(path, one)
                state = model.name(child).state
                self.tell(f"{what} listing", child, f"{state} is {'missing' if one in owed else 'shown'}")

    def compare_entry(self, what, path, name, entry):
        if name.state != "shown":
            if entry.kind != FILE:
                self.tell(what, path, f"kind {entry.kind}, owed {FILE}")
            return
        if entry.what() != name.kind:
            self.tell(what, path, f"{entry.what()}, owed {name.kind}")
            return
        modes, owners = name.rule_3_mode()
        if entry.kind != LINK and entry.mode not in modes:
            self.tell(f"{what} mode", path, f"{entry.mode:o}, owed {[oct(m) for m in modes]}")
        if entry.owner not in owners:
            self.tell(f"{what} owner", path, f"{entry.owner}, owed {owners}")
        times = name.rule_3_times()
        if path and entry.mtime not in times:
            self.tell(f"{what} time", path, f"{entry.mtime}, owed {times}")
        self.compare_attributes(f"{what} attribute", path, name, entry)

    def compare_attributes(self, what, path, name, entry):
        right, found = name.rule_3_attributes(), dict(entry.xattrs)
        for one in right.keys() | found.keys():
            owed = right.get(one, {None})
            if one == ACCESS and what.split()[0] not in ("restored", "rebuilt"):  # the kernel lets it go with the mode
                owed = {value and fit_list(value, entry.mode) for value in owed}
            if found.get(one) not in owed:
                self.tell(what, path, f"{one}: {found.get(one)}, owed {owed}")

    def read_restored(self, what, path, place, file):
        """Whole, or stripe by stripe in some order, past the kernel's pages."""
        if self.rng.random() < 0.5 or file.version is None or file.rule_8_is_beyond_all():
            self.compare_bytes(what, path, error_or(lambda: model_stores.read_bytes(place)), file.content())
            return
        order = list(range(min(file.version.stripes(), 100)))
        self.rng.shuffle(order)
        is_read_when_opened = file.version.size <= SMALL_FILE
        owed = file.stripes() if is_read_when_opened else file.stripes(order)
        # What could not be had when all was read may be had by what was learned then.
        later = file.stripes([*range(len(order)), *order]) if is_read_when_opened else owed
        handle = error_or(lambda: os.open(place, os.O_RDONLY | os.O_DIRECT))
        if isinstance(handle, OSError):
            if any(stripe is not None for stripe in owed):
                self.tell(what, path, f"open: {handle.strerror}")
            return
        step = file.version.k * file.version.block
        # Stripes of classic are as long as one likes.
        may_fail = self.tree.format == "classic" and None in owed
        for number in order:
            length = file.version.length(number)
            # A stripe that was given when the file was opened may be refused when it is asked for again.
            again = may_fail or (is_read_when_opened and file.is_contested())
            found = error_or(lambda: os.pread(handle, length, number * step))  # noqa: B023
            right = owed[number] if owed[number] is not None or isinstance(found, OSError) else later[number]
            self.compare_bytes(f"{what} stripe", path, found, right, f"stripe {number} of {order}", again)
        os.close(handle)

    def compare_bytes(self, what, path, found, owed, where="whole", may_fail=False):
        self.counts["right" if owed is not None else "EIO"] += 1
        if isinstance(found, OSError):
            if found.errno != errno.EIO:
                self.tell(f"{what} error", path, f"{where}: {found.strerror}")
            elif owed is not None and not may_fail:
                self.tell(f"{what} needless error", path, f"{where}: EIO, owed {len(owed)} bytes")
        elif owed is None:
            self.tell(f"{what} owed EIO", path, f"{where}: {len(found)} bytes, owed EIO")
        elif found != owed:
            self.tell(f"{what} WRONG BYTES", path, f"{where}: {len(found)} bytes, owed {len(owed)}")

    def check_rebuilt(self, root, model):
        """All of one share's tree: names, bytes, errors, metadata."""
        shares = sorted(os.listdir(root))
        if self.tree.format != "fec" and shares != [f"{index:02x}" for index in range(self.tree.count)]:
            self.tell("rebuilt shares", "", f"{shares}, owed {self.tree.count}")
        share = self.rng.choice(shares)
        index = int(share, 16)

        def read(what, path, place, file):
            if file.version.count and index >= file.version.count:
                return  # fec: there is no such share of it
            found = error_or(lambda: model_stores.read_bytes(place))
            owed = file.share(index) if None not in file.stripes() else None
            self.compare_bytes(what, path, found, owed, f"share {share}")

        self.check_tree("rebuilt", os.path.join(root, share), read, model)

    # Commands

    def depends_on_order(self, name):
        """Whether a command, which reads several stripes at once, may find it an error."""
        return name.file is not None and name.file.is_contested()

    def check_decode(self, folder, model, at_least=None):
        place = self.folder / folder
        flags = ["--unconfirmed"] if model.unconfirmed else []
        status, lines, errors = self.command("decode", *flags, self.place, place)
        names = {p: n for p, n in self.shown(model).items() if not n.is_lost()}
        found = dict(model_stores.walk(place)) if place.exists() else {}
        for path in found.keys() - names.keys():
            self.tell(f"{folder} too much", path, f"{path} is {model.name(path).state}")
        decoded = {}
        for path, name in names.items():
            if path not in found:
                if not self.depends_on_order(name):
                    self.tell(f"{folder} missing", path, f"{path} is missing")
                continue
            entry = decoded[path] = model_stores.entry_at(os.path.join(place, path), None, found[path], self.is_bare(name))
            self.compare_entry(folder, path, name, entry)
            if name.file:
                self.compare_bytes(folder, path, entry.data, name.file.content())
        lost = any(name.is_lost() for name in model.names())
        foreign = any(model.name(path).state == "foreign" for path in model.paths)
        self.owed_status(folder, (status, lines, errors), 2 if lost else 1 if foreign else 0)
        return decoded

    def check_check(self):
        status, lines, errors = self.command("check", "--verbose", self.place)
        self.owed_status("check", (status, lines, errors), self.model.status())
        told = {self.raw_of(line): line for line in lines if line["message_type"] == "check"}
        for path, name in self.shown().items():
            if f"{path}: cannot be checked: Connection timed out" in errors:  # a search on a busy machine
                self.counts["timed out"] += 1
            elif path not in told:
                self.tell("check silent", path, f"{name.state} is not told")
            else:
                self.check_line(path, name, told[path])
        summary = lines[-1] if lines else {}
        for store in summary.get("stores", []):
            share = self.model.voting.get(os.path.basename(store["store"]))
            owed = f"{share:02x}" if share is not None and self.model.with_files else None
            if store.get("share") != owed:
                self.tell("check share", "", f"{store['store']}: {store.get('share')}, owed {owed}")

    def raw_of(self, line):
        """The path in the stores that a line is about."""
        return line.get("stored_as", line["path"])

    def check_line(self, path, name, line):
        lost = name.is_lost()
        if (line["health"] in ("lost", "conflict")) != lost:
            self.tell("check health", path, f"{line['health']}, owed {'lost' if lost else 'not lost'}")
            return
        if (line["health"] == "conflict") != name.is_conflict():
            owed = "a conflict" if name.is_conflict() else "no conflict"
            self.tell("check conflict", path, f"{line['health']}, owed {owed}")
        if (line["health"] == "conflict") != ("conflict" in line):
            self.tell("check sides", path, f"{line['health']}, sides: {line.get('conflict')}")
        if lost:
            return
        if line["may_lose"] > name.may_lose():
            self.tell("check promises too much", path, f"may lose {line['may_lose']}, owed {name.may_lose()}")
        if line["may_lose"] < 0:
            self.tell("check may_lose", path, f"may lose {line['may_lose']}, though it is not lost")
        problems = {os.path.basename(problem["store"]): problem for problem in line["problems"]}
        said = {store: problem["state"] for store, problem in problems.items()}
        for store in self.stores:
            if self.model.samples[store].empty:
                continue
            state = name.state_of(store)
            if said.get(store, "good") not in (state, *self.also_right(name, store)):
                self.tell(f"check: {state} called {said.get(store, 'good')}", path, f"store {store}")
        if name.file and name.file.checked:
            self.check_blocks(path, name.file, problems)
            said = numbers_of(line.get("unverified_stripes", []))
            if said != name.file.unverified():
                self.tell("check: unverified", path, f"{said}, owed {name.file.unverified()}")
        exact = [store for store in self.stores if name.state_of(store) != "good"]
        if (line["health"] == "intact") != (not exact) and not name.has_other_metadata() and not exact:
            self.tell("check health", path, f"{line['health']}, but nothing is wrong")

    def check_blocks(self, path, file, problems):
        for store, copy in file.members.items():
            ranges = problems.get(store, {}).get("damaged_blocks", [])
            said = numbers_of(ranges)
            if said != file.bad_blocks(copy):
                self.tell("check: blocks", path, f"store {store}: {said}, owed {file.bad_blocks(copy)}")

    def also_right(self, name, store):
        """Words that are as good for what is wrong with a copy."""
        copy = name.copies.get(store)
        if not name.file or copy is None or copy.header is None:
            return ()
        if not name.file.checked:
            if copy.header.index != self.model.voting.get(store):
                return ("damaged", "stale")
            start = copy.header.start
            only_header = name.file.of[store] == name.file.version and copy.data[start:] == name.file.share(copy.header.index)[start:]
            return ("good", "damaged") if only_header else ()
        return () if copy.is_of(name.file.version) and name.file.state_of(store) in ("good", "misplaced") else ("damaged", "stale")

    # Repair

    def check_repair(self):
        before = model_stores.look(self.place)
        flags = ["--delete"] if self.removes else []
        status, lines, errors = self.command("repair", *flags, self.place)
        after = model_stores.look(self.place)
        found = model_stores.read_again(self.place, after, before, self.stores)
        if self.model.rule_7_needs_required():
            self.owed_status("repair", (status, lines, errors), 4)
        elif any(name.is_lost() and not self.goes(name) for name in self.model.names()):
            self.owed_status("repair", (status, lines, errors), 2)
        elif self.is_refused():
            self.owed_status("repair", (status, lines, errors), 4)
        elif status not in (0, 1):
            self.owed_status("repair", (status, lines, errors), 1)
        numbers = [{key: one.st_ino for key, one in looks.items()} for looks in (before, after)]
        changed = set()
        for store, tree in self.stores.items():
            for path in tree.keys() | found[store].keys():
                old, new = tree.get(path), found[store].get(path)
                same_inode = numbers[0].get((store, path)) == numbers[1].get((store, path))
                if old != new or not same_inode:
                    changed.add(path)
                self.check_mended(store, path, old, new, same_inode)
        self.check_no_worse(found, changed)

    def goes(self, name):
        return self.removes and name.rule_7_goes()

    def is_refused(self):
        """Whether something stays that was to go, or is in the way of another kind."""
        model = self.model
        if any(map(model.rule_7_is_left, model.stores)):
            return True
        if self.removes and (any(map(model.has_nothing, self.stores)) or any(name.rule_7_is_refused() for name in model.names())):
            return True
        return any(name.state == "shown" and not self.goes(name) and self.is_in_the_way(name, store)
                   for name in model.names() for store in name.entries if model.rule_7_is_written(store))  # fmt: skip

    def is_in_the_way(self, name, store):
        """Whether a store has a share where another kind is to be, or a directory that is not empty."""
        if name.entries[store].what() == name.kind or (self.removes and name.rule_7_gives_way(store)):
            return False
        return name.keeps_share(store) or any(path.startswith(name.path + "/") for path in self.stores[store])

    def check_mended(self, store, path, old, new, same_inode):
        name = self.model.name(path)
        same = old is not None and new is not None and old[:2] == new[:2] and same_inode
        untouched = old == new and (same_inode or old is None)
        if path == "" or self.model.samples[store].empty or not self.model.rule_7_is_written(store):
            if not untouched and path:
                self.tell("repair touched", path, f"store {store} has no vote")
            return
        if self.goes(name) or any(self.goes(self.model.name(one)) for one in parents(path)):
            if new is not None:
                self.tell("repair did not remove", path, f"store {store}")
            return
        above = [self.model.name(one) for one in parents(path) if one in self.stores[store]]
        above = [one for one in above if one.state == "shown" and self.stores[store][one.path].what() != one.kind]
        if above and new is None and self.removes:
            if not all(one.rule_7_gives_way(store) for one in above):
                self.tell("repair removed", path, f"store {store}")
            return
        if name.state != "shown" or name.is_lost() or self.model.rule_7_needs_required():
            if not untouched:
                self.tell("repair touched", path, f"store {store}: {name.state}, lost {name.is_lost()}")
            return
        if old is not None and name.state_of(store) == "good":
            if not same:
                self.tell("repair touched", path, f"store {store}: it was good")
            if new is not None:
                self.check_given(store, path, name, new)
            return
        if old is not None and self.is_in_the_way(name, store):
            if not untouched:
                self.tell("repair DESTROYED a share", path, f"store {store}")
            return
        if not name.file:
            if new is not None and new.what() == name.kind:
                self.check_given(store, path, name, new)
            elif not (old and old.kind == DIRECTORY):
                self.tell("repair left", path, f"store {store}: {old and old.kind}")
            return
        self.check_written(store, path, name, old, new, same)

    def check_written(self, store, path, name, old, new, same):
        may = name.file.rule_7_may_replace(store)
        if new is None:
            if may is not None:
                self.tell("repair left", path, f"store {store}: nothing there")
            return
        right = new.kind == FILE and new.data == name.file.share(self.model.voting[store])
        if right and (may or may is None):
            self.counts["mended"] += 1
            self.check_given(store, path, name, new)
        elif same and may is None:
            self.counts["misplaced left"] += 1
        elif same and may:
            if not self.depends_on_order(name) and old.kind != DIRECTORY and "good" not in self.also_right(name, store):
                self.tell("repair left", path, f"store {store}: {name.state_of(store)}")
        elif not same and may is False:
            self.tell("repair OVERWROTE", path, f"store {store}: {name.state_of(store)}")
        elif not same:
            self.tell("repair WROTE WRONG", path, f"store {store}")

    def check_given(self, store, path, name, new):
        """The metadata of what is there after repair."""
        modes, owners = name.rule_3_mode()
        if name.rule_7_keeps_mode(store):
            modes, owners = {name.entries[store].mode}, {name.entries[store].owner}
        times = name.rule_3_times()
        if self.tree.sealer:  # manifests have all but the times of files, by which tools know them
            if new.kind == FILE and not any(is_same_time(new.mtime, time) for time in times):
                self.tell("repair time", path, f"store {store}: {new.mtime}, owed {times}")
            return
        if new.kind != LINK and new.mode not in modes:
            self.tell("repair mode", path, f"store {store}: {new.mode:o}, owed {[oct(m) for m in modes]}")
        if new.owner not in owners:
            self.tell("repair owner", path, f"store {store}: {new.owner}, owed {owners}")
        if not any(is_same_time(new.mtime, time) for time in times):
            self.tell("repair time", path, f"store {store}: {new.mtime}, owed {times}")
        self.compare_attributes("repair attribute", path, name, new)

    def check_no_worse(self, found, changed):
        after = Model(found, self.tree.format, self.tree.required, key=self.model.key)
        same_votes = after.voting == self.model.voting  # not where the only share of a store had to go
        for path in changed:
            old, new = self.model.name(path), after.name(path)
            if self.goes(old):
                continue
            if same_votes and new.may_lose() < old.may_lose():
                self.tell("repair MADE WORSE", path, f"could lose {old.may_lose()}, now {new.may_lose()}")
            if old.file and not old.is_lost() and (not new.file or new.file.content() != old.file.content()):
                self.tell("repair MADE WORSE", path, "other content")
        if self.rng.random() < 0.1 and not self.tree.sealer:
            lost_before = {p for p in self.model.paths if self.model.name(p).is_lost()}
            self.check_decode("decoded again", after)
            for path in after.paths:
                if after.name(path).is_lost() and path not in lost_before and path in self.model.paths:
                    self.tell("repair MADE WORSE", path, "lost")


def numbers_of(ranges):
    return {number for first, last in ranges for number in range(first, last + 1)}


def fit_list(value, mode):
    """An access control list whose owner, mask and others have the rights of a mode."""
    fitted = bytearray(value)
    for at in range(4, len(value), 8):
        shift = {1: 6, 16: 3, 32: 0}.get(value[at])
        if shift is not None:
            fitted[at + 2] = mode >> shift & 7
    return bytes(fitted)


def error_or(function):
    try:
        return function()
    except OSError as error:
        return error


def report(wrong):
    """The failures, a few of each kind."""
    lines = [f"{len(texts)} of {what}" for what, texts in sorted(wrong.items())]
    for what, texts in sorted(wrong.items(), key=lambda item: item[0].upper() == item[0]):
        lines += texts[:SHOWN]
    return "\n".join(lines)

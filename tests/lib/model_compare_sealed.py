# SPDX-License-Identifier: MIT
"""Holds the program against the model over sealed stores: check and repair with the key and without it,
the rebuilt view, and what the key opens."""

import os
import stat

import keyfiles
import model_stores
from model import Model
from model_compare import Comparison, error_or
from model_shares import DIRECTORY, FILE
from sealing import MANIFEST


def status_of_open(place):
    with open(place, "rb", buffering=0) as file:
        return os.fstat(file.fileno())


class SealedComparison(Comparison):
    def __init__(self, mounts, folder, tree):
        super().__init__(mounts, folder, tree)
        self.sealer, self.unconfirmed = tree.sealer, False
        self.keyless = self.model
        self.keyed = Model(self.stores, tree.format, tree.required, key=tree.key)
        self.with_key = self.rng.random() < 0.6  # repair

    def run(self):
        model_stores.write(self.place, self.stores)
        self.key_file = self.folder / "set.key"
        self.key_file.write_text(keyfiles.key_text(self.sealer.keys.master))
        self.key_file.chmod(0o600)
        try:
            if self.keyless.unknown or self.keyless.too_few or self.keyless.is_one_store:
                self.check_refusal()
                return
            view = self.mounts.rebuilt(self.place, **self.options(), shares=self.tree.count)
            view.expect_log(r".*", count=0)
            self.check_rebuilt(view.path, self.model)
            view.unmount()
            self.check_check()
            is_opened = self.has_root()
            self.take_key()
            self.check_check()
            if is_opened:
                self.check_opened()
            if not self.with_key:
                self.leave_key()
            self.check_repair()
        finally:
            model_stores.remove(self.folder)

    def take_key(self):
        self.model, self.key_words = self.keyed, ("--key", self.key_file)
        self.removes = False

    def leave_key(self):
        self.model, self.key_words = self.keyless, ()

    def has_root(self):
        """Whether the root has a manifest."""
        name = self.keyless.name(MANIFEST)
        return name.state == "shown" and name.file is not None and name.file.version.sealed

    def raw_of(self, line):
        if "stored_as" in line or not self.model.key:
            return super().raw_of(line)
        folder, name = os.path.split(line["path"])
        by_name = {plain: raw for raw, plain in self.sealer.plain.items()}
        if name == MANIFEST and folder in by_name:
            return os.path.join(by_name[folder], MANIFEST)
        return by_name.get(line["path"], line["path"])

    # What the key opens

    def check_opened(self):
        key, model = self.model.key, self.model
        view = self.mounts.restored(self.place, **self.options(), key=self.key_file)
        view.expect_log(r".*", count=0)
        for raw, plain in self.sealer.plain.items():
            place = os.path.join(view.path, plain)
            if raw and not key.owed(model, raw):
                self.owed_no_name(raw, place)
            elif raw in self.sealer.folders:
                self.check_opened_folder(raw, place)
            else:
                self.check_opened_file("opened", raw, place)
        view.unmount()
        self.check_opened_decode()

    def owed_no_name(self, raw, place):
        if not isinstance(error_or(lambda: os.lstat(place)), OSError):
            self.tell("opened", raw, "is there, though its directory's manifest is lost")

    def check_opened_folder(self, raw, place):
        found = error_or(lambda: set(os.listdir(place)))
        if not self.model.key.has_manifest(self.model, raw):
            if not isinstance(found, OSError):
                self.tell("opened listing", raw, f"{found}, owed an error")
            return
        owed = {os.path.basename(self.sealer.plain[one]) for one in self.sealer.folders[raw]}
        if found != owed:
            self.tell("opened listing", raw, f"{found}, owed {owed}")

    def opened_content(self, raw):
        """The bytes of a file; None where it is an error."""
        name, key = self.model.name(raw), self.model.key
        if name.is_lost() or name.state != "shown" or not name.file:
            return None
        version, found = name.file.version, []
        for number, cipher in enumerate(name.file.stripes()):
            tag = next(iter(name.file.given(number).values()))[1]
            found.append(key.open(raw, version, number, tag, cipher))
        return b"".join(found)

    def check_opened_file(self, what, raw, place):
        said = self.model.key.owed(self.model, raw)[1]
        status = error_or(lambda: os.lstat(place))
        if isinstance(status, OSError):
            self.tell(what, raw, f"lstat: {status.strerror}")
            return
        owed = self.opened_content(raw)
        facts = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
        if facts != (0o644, *said.owner):
            self.tell(f"{what} attributes", raw, f"{facts}, owed {said.owner}")
        if owed is not None:
            header = self.model.name(raw).file.version
            from_manifest = header.size == 0 or (header.size == said.size and header.mtime <= said.time)
            size, time = (said.size, said.time) if from_manifest else (header.size, header.mtime)
            if what == "opened":  # a view takes it from manifests until the file is open
                if (status.st_size, status.st_mtime_ns) != (said.size, said.time):
                    self.tell(f"{what} lstat", raw, f"{status.st_size} {status.st_mtime_ns}, owed {said.size} {said.time}")
                status = error_or(lambda: status_of_open(place))
            if not isinstance(status, OSError) and (status.st_size, status.st_mtime_ns) != (size, time):
                self.tell(f"{what} status", raw, f"{status.st_size} {status.st_mtime_ns}, owed {size} {time}")
        found = error_or(lambda: model_stores.read_bytes(place))
        if isinstance(found, OSError) and owed is None:
            return
        self.compare_bytes(what, raw, found, owed, may_fail=self.depends_on_order(self.model.name(raw)))

    def check_opened_decode(self):
        key, model = self.model.key, self.model
        place = self.folder / "decoded"
        status, lines, errors = self.command("decode", self.place, place)
        lost = False
        for raw, plain in self.sealer.plain.items():
            owed = not raw or key.owed(model, raw)
            there = os.path.lexists(place / plain)
            if raw in self.sealer.folders:
                lost |= bool(owed) and not key.has_manifest(model, raw)
                continue
            is_lost = not owed or self.opened_content(raw) is None
            lost |= bool(owed) and is_lost
            if is_lost and there:
                self.tell("decoded too much", raw, f"{plain} is lost")
            elif not is_lost and there:
                self.check_opened_file("decoded", raw, place / plain)
            elif not is_lost and not self.depends_on_order(model.name(raw)):
                self.tell("decoded missing", raw, f"{plain} is missing")
        self.owed_status("decoded", (status, lines, errors), 2 if lost else 0)

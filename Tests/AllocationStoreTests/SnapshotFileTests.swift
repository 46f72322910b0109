// SnapshotFileTests.swift: snapshots written and read back.
import Testing

// Exports.swift: who imports TraceMalloc has the vocabulary of profiles with it.
@_exported public import AllocationProfile

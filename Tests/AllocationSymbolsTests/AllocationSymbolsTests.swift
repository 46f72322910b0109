// AllocationSymbolsTests.swift: placeholder for the first build.
import Testing

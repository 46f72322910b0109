// AllocationSymbols.swift: placeholder for the first build.

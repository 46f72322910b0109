// AllocationStore.swift: placeholder for the first build.

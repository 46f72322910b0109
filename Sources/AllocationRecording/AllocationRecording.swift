// AllocationRecording.swift: placeholder for the first build.

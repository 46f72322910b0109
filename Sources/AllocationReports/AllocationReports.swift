// AllocationReports.swift: placeholder for the first build.

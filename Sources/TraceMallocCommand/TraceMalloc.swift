// TraceMalloc.swift: the command `tracemalloc`.
import ArgumentParser

@main
struct TraceMalloc: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "tracemalloc", abstract: "Exact allocation profiler.")
}

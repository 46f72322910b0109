// swift-tools-version: 6.2
// Package.swift: a package that uses TraceMalloc in its program and TraceMallocTesting in its tests. No flags are needed.
import PackageDescription

let package = Package(
    name: "example",
    dependencies: [
        // Elsewhere: .package(url: …, from: …)
        .package(name: "swift-tracemalloc", path: "../..")
    ],
    targets: [
        .target(name: "Inventory"),
        .executableTarget(
            name: "example", dependencies: ["Inventory", .product(name: "TraceMalloc", package: "swift-tracemalloc")]),
        .testTarget(
            name: "InventoryTests", dependencies: ["Inventory", .product(name: "TraceMallocTesting", package: "swift-tracemalloc")]),
    ]
)

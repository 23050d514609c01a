// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// The modules, each importing only modules that stand above it here.
let package = Package(
    name: "dponnx",
    products: [
        .library(name: "DPONNX", targets: ["DPONNX"]),
        .executable(name: "dponnx", targets: ["dponnx"]),
        // The C interface; `make library` gives it the name libdponnx.so, which SwiftPM would take from the product.
        .library(name: "dponnx-library", type: .dynamic, targets: ["CInterface"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    ],
    targets: [
        .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
        .systemLibrary(name: "CProtobufC", pkgConfig: "libprotobuf-c", providers: [.apt(["libprotobuf-c-dev"])]),
        .systemLibrary(name: "CLibcrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "COnnxProto", dependencies: ["CProtobufC"]),
        .target(name: "CVectorKernels", cSettings: [.define("NDEBUG", .when(configuration: .release))]),
        .target(
            name: "Kernels", dependencies: ["COpenBLAS", "CLibcrypto", "CVectorKernels"], swiftSettings: strict),
        .target(name: "ONNXFormat", dependencies: ["COnnxProto", "CProtobufC"], swiftSettings: strict),
        .target(name: "TensorGraph", swiftSettings: strict),
        .target(
            name: "Operators", dependencies: ["Kernels", "ONNXFormat", "TensorGraph"], swiftSettings: strict),
        .target(name: "Execution", dependencies: ["Kernels", "TensorGraph", "Operators"], swiftSettings: strict),
        .target(
            name: "PrivateGradients", dependencies: ["Kernels", "TensorGraph", "Operators"], swiftSettings: strict),
        .target(name: "PrivacyAccounting", swiftSettings: strict),
        .target(
            name: "Training",
            dependencies: [
                "CZlib", "Kernels", "ONNXFormat", "TensorGraph", "Operators", "Execution", "PrivateGradients",
                "PrivacyAccounting",
            ],
            swiftSettings: strict),
        .target(
            name: "WeightConversion", dependencies: ["ONNXFormat", "TensorGraph", "Operators", "Training"],
            swiftSettings: strict),
        .target(
            name: "DPONNX",
            dependencies: [
                "Kernels", "ONNXFormat", "TensorGraph", "Operators", "Execution", "PrivateGradients",
                "PrivacyAccounting", "Training", "WeightConversion",
            ],
            swiftSettings: strict),
        .target(name: "CDponnx"),
        .target(name: "CInterface", dependencies: ["CDponnx", "DPONNX"], swiftSettings: strict),
        .executableTarget(
            name: "dponnx",
            dependencies: [
                "DPONNX",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .target(
            name: "TestSupport", dependencies: ["Kernels", "TensorGraph", "Operators"], path: "Tests/TestSupport",
            swiftSettings: strict),
        .target(
            name: "ConformanceTesting",
            dependencies: ["Kernels", "ONNXFormat", "TensorGraph", "Operators", "Execution"],
            swiftSettings: strict),
        .executableTarget(
            name: "onnx-conformance",
            dependencies: [
                "Kernels", "ConformanceTesting", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .testTarget(name: "KernelsTests", dependencies: ["Kernels", "CVectorKernels"], swiftSettings: strict),
        .testTarget(
            name: "ONNXFormatTests", dependencies: ["ONNXFormat"], resources: [.copy("Fixtures")],
            swiftSettings: strict),
        .testTarget(name: "TensorGraphTests", dependencies: ["TensorGraph", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "OperatorsTests", dependencies: ["Kernels", "ONNXFormat", "Operators", "Execution", "TestSupport"],
            swiftSettings: strict),
        .testTarget(name: "ExecutionTests", dependencies: ["Execution", "TestSupport"], swiftSettings: strict),
        .testTarget(
            name: "PrivateGradientsTests",
            dependencies: ["PrivateGradients", "Execution", "ONNXFormat", "TestSupport"],
            swiftSettings: strict),
        .testTarget(
            name: "PrivacyAccountingTests", dependencies: ["PrivacyAccounting"],
            exclude: ["make_banded_golden.py", "make_golden.py", "make_guessing_golden.py", "make_loss_golden.py"],
            swiftSettings: strict),
        .testTarget(
            name: "TrainingTests", dependencies: ["Training"], resources: [.copy("Fixtures")], swiftSettings: strict),
        .testTarget(
            name: "ConformanceTests",
            dependencies: ["ConformanceTesting", "Kernels", "ONNXFormat", "Operators", "TensorGraph"],
            exclude: ["make_node_tests.py"], resources: [.copy("NodeTests")], swiftSettings: strict),
        .testTarget(
            name: "DPONNXTests", dependencies: ["DPONNX"], exclude: ["make_models.py"],
            resources: [.copy("Fixtures")], swiftSettings: strict),
        .target(
            name: "CInterfaceProgram", dependencies: ["CDponnx"], path: "Tests/CInterfaceProgram"),
        .testTarget(
            name: "CInterfaceTests", dependencies: ["CInterface", "CInterfaceProgram", "DPONNX"], swiftSettings: strict),
        .executableTarget(
            name: "interrupted-training", dependencies: ["DPONNX"], path: "Tests/InterruptedTraining",
            swiftSettings: strict),
        .testTarget(
            name: "WeightConversionTests", dependencies: ["DPONNX"], exclude: ["make_models.py"],
            resources: [.copy("Fixtures")], swiftSettings: strict),
        .testTarget(
            name: "CommandLineTests", dependencies: ["dponnx", "interrupted-training", "DPONNX"],
            exclude: ["Fixtures", "make_models.py"],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

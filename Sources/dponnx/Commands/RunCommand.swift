import ArgumentParser
import DPONNX
import Glibc

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "Runs a model forward over a data set.",
        discussion: """
            Writes one array per graph output, under its name, samples in the order of the data.

            Example: dponnx run model.onnx --data test.npz --output predictions.npz
            """)

    @OptionGroup var model: ModelArguments
    @OptionGroup var resources: ResourceArguments

    @Option(help: ArgumentHelp("Arrays keyed by input name, samples on the first axis.", valueName: "file"))
    var data: String

    @Option(help: ArgumentHelp("Where the outputs go: .npz, .safetensors, or .npy for one output.", valueName: "file"))
    var output: String

    func run() throws {
        try reportingFailures {
            let loaded = try model.load()
            let options = model.inputOptions
            let set = try DataSet(
                ArrayFile(path: data), inputs: loaded.inputSlots(options), requiresTarget: false)
            let runner = try ForwardRunner(
                loaded.trainable([], for: set, options), parameters: ParameterMemory([]), pool: resources.makePool())
            try loaded.refuseToOverwrite(output)
            let outputs = try runner.run(set, batchSize: resources.physicalBatchSize ?? 64)
            try writeArrays(outputs, to: output)
        }
    }
}

/// Writes tensors as arrays of their own element types.
func writeArrays(_ arrays: [(name: String, value: Constant)], to path: String, permissions: mode_t = 0o666) throws {
    var writer = try ArrayFileWriter(
        path: path,
        arrays: arrays.map {
            .init(name: $0.name, type: $0.value.type.elementType.storedType, shape: $0.value.type.shape)
        }, permissions: permissions)
    for array in arrays {
        try writer.append(bytes: UnsafeRawBufferPointer(rebasing: array.value.bytes.prefix(array.value.type.byteCount)))
    }
    try writer.finish()
}

extension ElementType {
    fileprivate var storedType: StoredType {
        switch self {
        case .float32: .float32
        case .float64: .float64
        case .int64: .int64
        case .bool: .bool
        }
    }
}

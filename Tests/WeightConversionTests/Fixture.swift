import DPONNX
import Foundation
import Testing

/// Committed files, by the name of the exported model; make_models.py says what they hold.
enum Fixture {
    static func path(_ name: String) -> String {
        Bundle.module.bundleURL.appendingPathComponent("Fixtures").appendingPathComponent(name).path
    }

    static func model(_ name: String) throws -> LoadedModel {
        try LoadedModel(path: path("\(name).onnx"), untie: false, retie: false)
    }

    static func weights(_ name: String) throws -> WeightFile { try WeightFile(path: path("\(name).pt")) }

    /// What the model at `path` computes from the data at `data`.
    static func outputs(_ path: String, _ data: String) throws -> [Float] {
        let loaded = try LoadedModel(path: path, untie: false, retie: false)
        let set = try DataSet(ArrayFile(path: data), inputs: loaded.inputSlots(InputOptions()), requiresTarget: false)
        let runner = try ForwardRunner(
            loaded.trainable([], for: set, InputOptions()), parameters: ParameterMemory([]),
            pool: ThreadPool(threads: 1))
        return try runner.run(set, batchSize: 3)[0].value.floatValues
    }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("convert-\(UUID())").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

extension WeightFile {
    func bytes(_ name: String) throws -> [UInt8] { try array(name).withUnsafeBytes { Array($0) } }
}

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

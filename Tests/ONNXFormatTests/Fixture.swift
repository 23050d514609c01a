import Foundation
import ONNXFormat

/// The committed files, and folders for what tests write.
enum Fixture {
    static func path(_ name: String) -> String {
        Bundle.module.resourceURL!.appendingPathComponent("Fixtures/\(name)").path
    }

    static func bytes(_ name: String) throws -> [UInt8] { try read(path(name)) }

    static func read(_ path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

    static func json<Value: Decodable>(_ name: String, as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(try bytes(name)))
    }

    /// Runs `body` with a fresh folder that holds a copy of a fixture folder's files, and removes it afterwards.
    static func withCopy(of name: String?, _ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        if let name {
            try FileManager.default.copyItem(atPath: path(name), toPath: folder.path)
        } else {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }

    static func write(_ bytes: [UInt8], to path: String) throws {
        try Data(bytes).write(to: URL(fileURLWithPath: path))
    }

    static func files(in folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }
}

extension ONNXGraph {
    func initializer(_ name: String) -> ONNXTensor? { initializers.first { $0.name == name } }
}

/// The error that loading ends with; nil if it succeeds.
func loadError(_ bytes: [UInt8]) -> ONNXFormatError? {
    do {
        _ = try ONNXModel(serialized: bytes)
        return nil
    } catch {
        return error
    }
}

func loadError(path: String) -> ONNXFormatError? {
    do {
        _ = try ONNXModel(path: path)
        return nil
    } catch {
        return error
    }
}

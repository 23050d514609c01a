import Foundation

/// One run of the built `dponnx`.
struct CommandRun {
    let status: Int32
    let output: String
    let errors: String

    init(_ arguments: String...) throws { try self.init(arguments) }

    init(_ arguments: [String]) throws {
        let process = Process()
        process.executableURL = Self.executable
        process.arguments = arguments
        // Files instead of pipes, which would fill up.
        let folder = try TemporaryFolder()
        let (out, err) = (folder.file("out"), folder.file("err"))
        for path in [out, err] { _ = FileManager.default.createFile(atPath: path, contents: nil) }
        process.standardOutput = FileHandle(forWritingAtPath: out)
        process.standardError = FileHandle(forWritingAtPath: err)
        try process.run()
        process.waitUntilExit()
        status = process.terminationStatus
        output = try String(contentsOfFile: out, encoding: .utf8)
        errors = try String(contentsOfFile: err, encoding: .utf8)
    }

    /// Starts `dponnx` and does not wait for it; what it prints is dropped.
    static func start(_ arguments: [String]) throws -> Process {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
        try process.run()
        return process
    }

    /// The one JSON object on standard output.
    var json: [String: Any]? {
        (try? JSONDecoder().decode(JSONValue.self, from: Data(output.utf8)))?.value as? [String: Any]
    }

    /// The tests lie in the folder of the products.
    static var executable: URL {
        let tests = URL(
            fileURLWithPath: (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))!)
        return tests.deletingLastPathComponent().appendingPathComponent("dponnx")
    }
}

/// A folder that goes with its owner.
final class TemporaryFolder {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appendingPathComponent("dponnx-\(UUID())").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }
}

/// Files that other tests made.
enum Samples {
    private static let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    private static let models = tests.appendingPathComponent("DPONNXTests/Fixtures")

    static func model(_ name: String) -> String { models.appendingPathComponent("\(name).onnx").path }
    static func data(_ name: String) -> String { models.appendingPathComponent("\(name).data.npz").path }

    /// Models, with the state_dicts that they were exported from and others of the same programs.
    static func conversion(_ name: String) -> String {
        tests.appendingPathComponent("WeightConversionTests/Fixtures/\(name)").path
    }

    /// A model that averages over its batch.
    static let mixing = tests.appendingPathComponent("CommandLineTests/Fixtures/mixing.onnx").path
    static let unknownOperator = tests.appendingPathComponent("CommandLineTests/Fixtures/unknown.onnx").path
}

/// A JSON value with its numbers as they were written: JSONSerialization is off by an ulp where one has 17 digits.
private struct JSONValue: Decodable {
    let value: Any

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            value = NSNull()
        } else if let truth = try? container.decode(Bool.self) {
            value = truth
        } else if let number = try? container.decode(Int.self) {
            value = NSNumber(value: number)
        } else if let number = try? container.decode(Double.self) {
            value = NSNumber(value: number)
        } else if let text = try? container.decode(String.self) {
            value = text
        } else if let list = try? container.decode([JSONValue].self) {
            value = list.map(\.value)
        } else {
            value = try container.decode([String: JSONValue].self).mapValues(\.value)
        }
    }
}

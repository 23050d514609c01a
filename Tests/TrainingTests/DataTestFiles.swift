import Foundation
import Testing

@testable import Training

/// Path of a committed fixture.
func fixture(_ name: String) -> String {
    Bundle.module.bundleURL.appendingPathComponent("Fixtures").appendingPathComponent(name).path
}

/// A folder that is removed when the last reference goes.
final class ScratchFolder {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "/data-tests-" + UUID().uuidString
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ name: String, _ bytes: [UInt8]) -> String {
        let file = path + "/" + name
        try! Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func write(_ name: String, _ text: String) -> String { write(name, Array(text.utf8)) }
}

func contents(_ path: String) -> [UInt8] { Array(FileManager.default.contents(atPath: path)!) }

extension NamedArray {
    /// All elements as float64, through a gather of every row.
    var doubles: [Double] {
        var values = [Double](repeating: .nan, count: elementCount)
        values.withUnsafeMutableBufferPointer { gather(rows: Array(0..<rowCount), into: $0) }
        return values
    }

    func floats(_ rows: [Int]) -> [Float] {
        var values = [Float](repeating: .nan, count: rows.count * rowElementCount)
        values.withUnsafeMutableBufferPointer { gather(rows: rows, into: $0) }
        return values
    }

    func integers(_ rows: [Int]) throws(DataError) -> [Int64] {
        var values = [Int64](repeating: -1, count: rows.count * rowElementCount)
        let outcome = values.withUnsafeMutableBufferPointer { buffer in
            Result { () throws(DataError) in try gather(rows: rows, into: buffer) }
        }
        try outcome.get()
        return values
    }
}

/// The error that a closure throws; records an issue and returns nil if it throws none.
func dataError(_ body: () throws -> Void, _ location: SourceLocation = #_sourceLocation) -> DataError? {
    do {
        try body()
        Issue.record("nothing was thrown", sourceLocation: location)
    } catch let error as DataError {
        #expect(!error.description.contains("\n"), sourceLocation: location)
        return error
    } catch {
        Issue.record(error, sourceLocation: location)
    }
    return nil
}

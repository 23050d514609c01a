import Foundation
import Testing

@testable import Training

@Suite struct DataWritingTests {
    private let scratch = ScratchFolder()

    private func write(_ name: String, compress: Bool = false, zip64Threshold: Int = 0xFFFF_FFFF) throws -> String {
        let path = scratch.path + "/" + name
        var writer = try ArrayFileWriter(
            path: path,
            arrays: [
                .init(name: "mask", type: .bool, shape: [3]), .init(name: "loss", type: .float32, shape: [4]),
                .init(name: "none", type: .float32, shape: [0, 2]),
                .init(name: "grad/w \"1\"", type: .float64, shape: [2, 2]),
                .init(name: "labels", type: .int64, shape: []),
            ], compress: compress, permissions: 0o600, zip64Threshold: zip64Threshold)
        try writer.append([true, false, true])
        try writer.append([0.5, 1] as [Float])
        try writer.append([1.5, 2] as [Float])
        try writer.append([-1, 0.25, 1e300, 3] as [Double])
        try writer.append([-7 as Int64])
        try writer.finish()
        return path
    }

    @Test(arguments: [
        ("a.npz", false, false), ("b.npz", true, false), ("c.npz", false, true), ("d.npz", true, true),
        ("e.safetensors", false, false),
    ])
    func whatIsWrittenIsRead(name: String, compress: Bool, zip64: Bool) throws {
        let path = try write(name, compress: compress, zip64Threshold: zip64 ? 8 : 0xFFFF_FFFF)
        let file = try ArrayFile(path: path)
        #expect(Set(file.keys) == ["mask", "loss", "none", "grad/w \"1\"", "labels"])
        #expect(try file.array("mask").doubles == [1, 0, 1])
        #expect(try file.array("loss").doubles == [0.5, 1, 1.5, 2])
        #expect(try file.array("none").shape == [0, 2])
        #expect(try file.array("grad/w \"1\"").doubles == [-1, 0.25, 1e300, 3])
        #expect(try file.array("labels").shape == [])
        #expect(try file.array("labels").withUnsafeBytes { $0.loadUnaligned(as: Int64.self) } == -7)
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == [name])
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? NSNumber
        #expect(mode?.intValue == 0o600)
    }

    /// The bytes that numpy.save writes for the same array.
    @Test func npyIsByteForByteNumPys() throws {
        let path = scratch.path + "/a.npy"
        var writer = try ArrayFileWriter(path: path, arrays: [.init(name: "a", type: .float32, shape: [4, 3, 2])])
        try writer.append((0..<24).map(Float.init))
        try writer.finish()
        #expect(contents(path) == contents(fixture("grid_f4.npy")))
    }

    @Test func anUnfinishedFileLeavesTheOldOne() throws {
        let path = scratch.write("a.npy", "old")
        do {
            var writer = try ArrayFileWriter(path: path, arrays: [.init(name: "a", type: .float32, shape: [2])])
            try writer.append([1 as Float])
        }
        #expect(contents(path) == Array("old".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: scratch.path) == ["a.npy"])
    }

    @Test func whatCannotBeCreated() {
        let one: [ArrayFileWriter.Declaration] = [.init(name: "a", type: .float32, shape: [0])]
        for name in ["a.csv", "none/a.npy", "a.txt"] {
            #expect(
                dataError { _ = try ArrayFileWriter(path: scratch.path + "/" + name, arrays: one) }?.kind
                    == .cannotCreate)
        }
        #expect(dataError { _ = try ArrayFileWriter(path: scratch.path + "/a.npy", arrays: []) }?.kind == .cannotCreate)
    }
}

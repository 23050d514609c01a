import DPONNX
import Foundation
import Testing

/// Damaged and hostile files of weights: one line that names the file, exit status 65, and nothing written or executed.
@Suite struct HostileConversionTests {
    private let folder: TemporaryFolder
    private let model = Samples.conversion("lstm-ts.onnx")
    private let weights = Samples.conversion("lstm-ts.pt")

    init() throws { folder = try TemporaryFolder() }

    private func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        let path = folder.file(name)
        try Data(bytes).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func expect(
        _ run: CommandRun, mentions path: String, _ reason: String, _ location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(run.status == 65, "\(run.errors)", sourceLocation: location)
        let lines = run.errors.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(lines.count == 1 && run.errors.hasPrefix("error: "), "\(run.errors)", sourceLocation: location)
        #expect(
            run.errors.contains(URL(fileURLWithPath: path).lastPathComponent), "\(run.errors)", sourceLocation: location
        )
        #expect(run.errors.contains(reason), "\(run.errors)", sourceLocation: location)
        #expect(run.output.isEmpty, sourceLocation: location)
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("output") }
        #expect(left.isEmpty, sourceLocation: location)
    }

    /// As the reference, and as weights to put in.
    private func expectRefused(_ path: String, _ reason: String, _ location: SourceLocation = #_sourceLocation) throws {
        let out = try CommandRun(
            "convert", model, "--original", model, "--reference", path, "--output", folder.file("output.npz"))
        try expect(out, mentions: path, reason, location)
        let into = try CommandRun(
            "convert", model, "--weights", path, "--reference", weights, "--output", folder.file("output.onnx"))
        // There a tensor that the model needs may be missed first.
        try expect(into, mentions: path, into.errors.contains("has no tensor") ? "error" : reason, location)
    }

    // MARK: .safetensors

    private func safetensors(_ header: String, _ data: Int = 16, length: UInt64? = nil) throws -> String {
        try file(
            "bad.safetensors",
            ZipBytes.little(length ?? UInt64(header.utf8.count)) + Array(header.utf8)
                + [UInt8](repeating: 1, count: data))
    }

    @Test func safetensors() throws {
        func entry(_ name: String, _ shape: String, _ from: Int, _ to: Int, _ type: String = "F32") -> String {
            "\"\(name)\": {\"dtype\": \"\(type)\", \"shape\": \(shape), \"data_offsets\": [\(from), \(to)]}"
        }
        try expectRefused(file("short.safetensors", [1, 2, 3]), "too short")
        try expectRefused(safetensors("{}", length: 1 << 60), "header of")
        try expectRefused(safetensors("{}", length: 4096), "ends inside")
        try expectRefused(safetensors("{\"a\"", 0), "JSON")
        try expectRefused(safetensors(String(repeating: "[", count: 100_000)), "JSON")
        let whole = entry("a", "[4]", 0, 16)
        try expectRefused(safetensors("{\(whole), \(whole)}"), "repeated key")
        try expectRefused(safetensors("{\(whole)}", 12), "past the end")
        try expectRefused(safetensors("{\(whole)}", 20), "4 bytes that no tensor describes")
        try expectRefused(safetensors("{\(entry("a", "[3]", 0, 12)), \(entry("b", "[2]", 8, 16))}"), "overlaps")
        try expectRefused(safetensors("{\(entry("a", "[1]", 0, 4)), \(entry("b", "[2]", 8, 16))}"), "gap")
        try expectRefused(safetensors("{\(entry("a", "[4]", 16, 0))}"), "reversed")
        try expectRefused(safetensors("{\(entry("a", "[4611686018427387904, 8]", 0, 16))}"), "overflows")
        try expectRefused(safetensors("{\(entry("a", "[-4]", 0, 16))}"), "JSON")
        try expectRefused(safetensors("{\(entry("a", "[5]", 0, 16))}"), "needs 20")
        try expectRefused(safetensors("{\(entry("a", "[1.5]", 0, 16))}"), "JSON")
        try expectRefused(safetensors("{\"a\": {\"dtype\": \"F32\"}}"), "lacks")
        try expectRefused(safetensors("{\(entry("a", "[4]", 0, 16, "F33"))}"), "F33")
    }

    // MARK: .npz

    private func array(_ header: String, _ data: Int = 16) -> [UInt8] {
        let text = header + String(repeating: " ", count: 117 - header.utf8.count) + "\n"
        return [0x93] + Array("NUMPY".utf8) + [1, 0] + ZipBytes.little(UInt16(text.utf8.count)) + Array(text.utf8)
            + [UInt8](repeating: 1, count: data)
    }

    private func npz(_ build: (inout ZipBytes) -> Void) throws -> String {
        var zip = ZipBytes()
        build(&zip)
        return try file("bad.npz", zip.bytes)
    }

    @Test func npz() throws {
        func header(_ shape: String, _ type: String = "<f4") -> String {
            "{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }"
        }
        let good = array(header("(4,)"))
        try expectRefused(file("empty.npz", []), "empty")
        try expectRefused(file("text.npz", Array("no archive at all, only words".utf8)), "zip")
        try expectRefused(npz { $0.add("a.npy", []) }, "a")
        try expectRefused(npz { $0.add("a.npy", Array(good.dropLast(5))) }, "a")
        try expectRefused(npz { $0.add("a.npy", array(header("(4611686018427387904, 8)"))) }, "a")
        try expectRefused(npz { $0.add("a.npy", array(header("(-4,)"))) }, "a")
        try expectRefused(npz { $0.add("a.npy", array(header("(4,)", "|O"))) }, "a")
        try expectRefused(npz { $0.add("a.npy", array("{'descr': __import__('os').getcwd()}")) }, "a")
        try expectRefused(
            npz {
                $0.add("a.npy", good)
                $0.add("a.npy", good)
            }, "twice")
        try expectRefused(
            npz {
                $0.add("a.npy", good)
                $0.add("b.npy", good, offset: 0)
            }, "local zip header that contradicts")
        try expectRefused(npz { $0.add("a.npy", good, size: 1 << 30) }, "past the end")
        try expectRefused(npz { $0.add("a.npy", good, offset: 1 << 20) }, "no local zip header")
        let whole = try npz { $0.add("a.npy", good) }
        let bytes = Array(try Data(contentsOf: URL(fileURLWithPath: whole)))
        for length in [10, 60, bytes.count - 1] {
            try expectRefused(file("cut.npz", Array(bytes.prefix(length))), "zip")
        }
    }

    /// Headers that say less or more than what compressed bytes expand to.
    @Test func bombs() throws {
        let path = folder.file("zeros.npz")
        var writer = try ArrayFileWriter(
            path: path, arrays: [.init(name: "a", type: .float32, shape: [1 << 20])], compress: true)
        try writer.append([Float](repeating: 0, count: 1 << 20))
        try writer.finish()
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: path)))
        let local = 0
        let central = try #require(
            whole.indices.first { $0 + 4 <= whole.count && Array(whole[$0..<$0 + 4]) == [0x50, 0x4B, 1, 2] })
        for (size, reason) in [(UInt32(1000), "more than the 1000 bytes declared"), (1 << 31, "can hold")] {
            var bytes = whole
            bytes.replaceSubrange(local + 22..<local + 26, with: ZipBytes.little(size))
            bytes.replaceSubrange(central + 24..<central + 28, with: ZipBytes.little(size))
            try expectRefused(file("bomb.npz", bytes), reason)
        }
    }

    // MARK: PyTorch files

    private func torch(_ pickle: [UInt8], storage: [UInt8]? = nil) throws -> String {
        var zip = ZipBytes()
        zip.add("archive/data.pkl", pickle)
        if let storage { zip.add("archive/data/0", storage) }
        return try file("bad.pt", zip.bytes)
    }

    private func number(_ value: Int) -> [UInt8] { [0x8A, 8] + ZipBytes.little(value) }
    private func text(_ text: String) -> [UInt8] {
        [0x58] + ZipBytes.little(UInt32(text.utf8.count)) + Array(text.utf8)
    }
    private func global(_ module: String, _ name: String) -> [UInt8] { Array("c\(module)\n\(name)\n".utf8) }
    private func tuple(_ parts: [[UInt8]]) -> [UInt8] { [0x28] + parts.joined() + [0x74] }

    /// A state_dict with one tensor.
    private func stateDict(offset: Int = 0, shape: [Int] = [4], strides: [Int] = [1], elements: Int = 4) -> [UInt8] {
        let storage = tuple([
            text("storage"), global("torch", "FloatStorage"), text("0"), text("cpu"), number(elements),
        ])
        let arguments = tuple([
            storage + [0x51], number(offset), tuple(shape.map(number)), tuple(strides.map(number)), [0x89],
            global("collections", "OrderedDict") + [0x29, 0x52],
        ])
        return [0x7D] + text("a") + global("torch._utils", "_rebuild_tensor_v2") + arguments + [0x52, 0x73, 0x2E]
    }

    @Test func torchFiles() throws {
        let storage = [UInt8](repeating: 0, count: 16)
        let sound = try WeightFile(path: torch(stateDict(), storage: storage))
        #expect(try sound.array("a").floats() == [0, 0, 0, 0])
        try expectRefused(torch(stateDict()), "no storage")
        try expectRefused(torch(stateDict(), storage: Array(storage.dropLast())), "too short")
        try expectRefused(torch(stateDict(offset: 1), storage: storage), "beyond its storage")
        try expectRefused(torch(stateDict(offset: -1), storage: storage), "beyond its storage")
        try expectRefused(torch(stateDict(shape: [1 << 62, 8], strides: [8, 1]), storage: storage), "overflows")
        try expectRefused(torch(stateDict(shape: [1_000_000_000], strides: [0]), storage: storage), "repeats")
        try expectRefused(torch(stateDict(shape: [-4]), storage: storage), "negative")
        try expectRefused(torch(stateDict(shape: [2, 2]), storage: storage), "2 dimensions and 1 strides")
        try expectRefused(torch(stateDict(elements: 1 << 40), storage: storage), "too short")
        try expectRefused(torch(Array("}.".utf8)), "no tensors")
        try expectRefused(file("old.pt", [0x80, 2, 0x8A]), "before 1.6")
        try expectRefused(file("text.pt", Array("no archive at all, only words".utf8)), "zip")
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: weights)))
        for length in [3, 100, whole.count / 2, whole.count - 1] {
            try expectRefused(file("cut.pt", Array(whole.prefix(length))), "cut.pt")
        }
    }

    @Test func nothingIsExecuted() throws {
        let mark = folder.file("mark")
        let command = "touch \(mark)"
        let argument = tuple([text(command)])
        let system = global("posix", "system")
        for call in [
            system + argument + [0x52, 0x2E], global("os", "system") + argument + [0x52, 0x2E],
            [0x28] + text(command) + Array("iposix\nsystem\n.".utf8),
            global("subprocess", "Popen") + argument + [0x7D, 0x62, 0x2E],
            global("__builtin__", "eval") + argument + [0x52, 0x2E],
            [0x80, 4] + [0x8C, 5] + Array("posix".utf8) + [0x8C, 6] + Array("system".utf8) + [0x93] + argument
                + [0x52, 0x2E],
            global("torch._utils", "_rebuild_tensor_v2") + tuple([system + argument + [0x52]]) + [0x52, 0x2E],
            [0x7D] + text("a") + system + argument + [0x52, 0x73, 0x2E],
        ] {
            try expectRefused(torch(call), "bad.pt")
            #expect(!FileManager.default.fileExists(atPath: mark), "\(call)")
        }
    }

    // MARK: Indexes of shards

    @Test func indexes() throws {
        try FileManager.default.copyItem(atPath: weights, toPath: folder.file("shard.pt"))
        let outside = try TemporaryFolder()
        try FileManager.default.copyItem(atPath: weights, toPath: outside.file("shard.pt"))
        let above = "../" + URL(fileURLWithPath: outside.path).lastPathComponent + "/shard.pt"
        func index(_ map: String) throws -> String {
            try file("pytorch_model.bin.index.json", Array(#"{"weight_map": \#(map)}"#.utf8))
        }
        for shard in [above, outside.file("shard.pt"), "..", ".", "", "pytorch_model.bin.index.json", #"a\u0000b.pt"#] {
            try expectRefused(index(#"{"head.weight": "\#(shard)"}"#), "no file beside the index")
        }
        try expectRefused(index(#"{"head.weight": "shard.pt", "head.weight": "shard.pt"}"#), "repeated key")
        try expectRefused(index(#"{"absent": "shard.pt"}"#), "is not in the shard")
        for map in ["{}", "[]", #"{"head.weight": 1}"#, #"{"head.weight": "shard.pt""#] {
            try expectRefused(index(map), "index.json")
        }
        try expectRefused(file("empty.index.json", Array("{}".utf8)), "weight_map")
        let absent = try CommandRun(
            "convert", model, "--original", model, "--reference", index(#"{"head.weight": "absent.pt"}"#), "--output",
            folder.file("output.npz"))
        #expect(absent.status == 66 && absent.errors.contains("absent.pt"))
    }

    // MARK: Models

    @Test func models() throws {
        let whole = Array(try Data(contentsOf: URL(fileURLWithPath: model)))
        let files = [
            try file("cut.onnx", Array(whole.prefix(whole.count / 2))),
            try file("words.onnx", Array("no model at all".utf8)),
        ]
        for path in files {
            for (trained, original) in [(path, model), (model, path)] {
                let run = try CommandRun(
                    "convert", trained, "--original", original, "--reference", weights, "--output",
                    folder.file("output.npz"))
                try expect(run, mentions: path, "not a valid ONNX file")
            }
            let into = try CommandRun(
                "convert", path, "--weights", weights, "--reference", weights, "--output", folder.file("output.onnx"))
            try expect(into, mentions: path, "not a valid ONNX file")
        }
    }
}

import COnnxProto

/// Which external files a saved model gets, and what is written over their copied bytes.
struct ExternalPlan {
    struct File {
        /// File name beside the output.
        let name: String
        let source: FileMapping
        /// Replaced or appended data by offset.
        var patches: [(offset: Int, data: TensorEncoding)] = []
        /// Bytes so far, appended data included.
        var size: Int
    }

    /// By the location in the input.
    private(set) var files: [String: File] = [:]

    /// Names the new files: a location that begins with the input model's file name gets the output's name in its
    /// stead; any other is appended to the output's name. Folders become part of the name.
    init(model: ONNXModel, output: String) {
        var taken: Set = [output]
        for (location, source) in model.externalFiles.mappings.sorted(by: { $0.key < $1.key }) {
            let input = model.path.map(FilePath.name) ?? ""
            let flat = String(location.map { $0 == "/" ? "_" : $0 })
            let wanted =
                !input.isEmpty && flat.hasPrefix(input) ? output + flat.dropFirst(input.count) : "\(output).\(flat)"
            var name = wanted
            var suffix = 1
            while !taken.insert(name).inserted {
                name = "\(wanted).\(suffix)"
                suffix += 1
            }
            files[location] = File(name: name, source: source, size: source.bytes.count)
        }
    }

    func name(for location: String) -> String { files[location]!.name }

    /// Writes `data` over the bytes at `offset`.
    mutating func replace(_ location: String, at offset: Int, with data: TensorEncoding) {
        files[location]!.patches.append((offset, data))
    }

    /// Puts `data` behind everything else and returns its offset, a multiple of 64.
    mutating func append(_ data: TensorEncoding, to location: String) -> Int {
        let offset = (files[location]!.size + 63) / 64 * 64
        files[location]!.patches.append((offset, data))
        files[location]!.size = offset + data.byteCount
        return offset
    }

    /// Writes each file under a temporary name beside `folder`'s final ones.
    func write(into folder: String) throws(ONNXFormatError) -> [OutputFile] {
        var outputs: [OutputFile] = []
        for file in files.values.sorted(by: { $0.name < $1.name }) {
            let output = try OutputFile(path: "\(folder)/\(file.name)")
            let step = 64 << 20
            var start = 0
            while start < file.source.bytes.count {
                let end = min(start + step, file.source.bytes.count)
                try output.append(UnsafeRawBufferPointer(rebasing: file.source.bytes[start..<end]))
                file.source.releasePages()
                start = end
            }
            for patch in file.patches {
                var offset = patch.offset
                try patch.data.forEachChunk { (chunk) throws(ONNXFormatError) in
                    try output.write(chunk, at: offset)
                    offset += chunk.count
                }
            }
            try output.finish()
            outputs.append(output)
        }
        return outputs
    }
}

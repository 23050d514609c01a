import COnnxProto

/// A model's tree with edits applied to shallow copies, ready to be packed; the model itself stays as it is.
struct EditedModel {
    let model: ONNXModel
    let arena = MessageArena()
    private(set) var external: ExternalPlan
    private var rewrite: TreeRewrite
    /// Tensors of the main graph that can be named: initializers, and values of `Constant` nodes by their output.
    private let named: [String: UnsafePointer<Onnx__TensorProto>]

    /// - Parameter output: the output's file name, from which those of external files are made.
    init(_ model: ONNXModel, output: String) {
        self.model = model
        external = ExternalPlan(model: model, output: output)
        rewrite = TreeRewrite(arena: arena)
        let graph = model.tree.root.pointee.graph.pointee
        var named: [String: UnsafePointer<Onnx__TensorProto>] = [:]
        for tensor in messages(graph.initializer, graph.n_initializer) { named[text(tensor.pointee.name)] = tensor }
        for node in messages(graph.node, graph.n_node) {
            if let value = Self.constant(node) { named[text(node.pointee.output[0])] = value }
        }
        self.named = named
    }

    /// Applies the edits and returns the root of the edited tree, valid while `arena` and the model live.
    mutating func apply(_ edits: ONNXEdits) throws(ONNXFormatError) -> UnsafePointer<Onnx__ModelProto> {
        let overlapping = try moveExternalTensors()
        for (name, values) in edits.values.sorted(by: { $0.key < $1.key }) {
            try replace(name, with: values, overlapping)
        }
        try rewire(edits)
        try rename(edits.insertions.renamings)
        let root = rewrite.model(model.tree.root)
        try insert(edits.insertions, into: root)
        try add(edits.additions, to: root)
        removeMetadata(edits.removedMetadata, in: root)
        setMetadata(edits.metadata, in: root)
        return UnsafePointer(root)
    }

    private static func constant(_ node: UnsafePointer<Onnx__NodeProto>) -> UnsafePointer<Onnx__TensorProto>? {
        guard text(node.pointee.op_type) == "Constant", standardised(text(node.pointee.domain)).isEmpty,
            node.pointee.n_output == 1
        else { return nil }
        return messages(node.pointee.attribute, node.pointee.n_attribute).lazy
            .filter { text($0.pointee.name) == "value" }
            .compactMap { $0.pointee.t.map { UnsafePointer($0) } }.first
    }

    /// Gives every external tensor its new location; returns those whose bytes belong to another tensor, too.
    private mutating func moveExternalTensors() throws(ONNXFormatError) -> Set<UnsafePointer<Onnx__TensorProto>> {
        var ranges: [String: [(start: Int, end: Int, tensor: UnsafePointer<Onnx__TensorProto>)]] = [:]
        for tensor in TensorOccurrence.all(in: model.tree, file: model.displayName)
        where ExternalReference.isExternal(tensor.pointer) {
            let reference = try ExternalReference(tensor.pointer, at: tensor.place)
            let storage = try TensorStorage(tensor.pointer, external: model.externalFiles, at: tensor.place)
            let size = storage.type.byteCount(elements: storage.count) ?? 0
            if size > 0 {
                ranges[reference.location, default: []].append(
                    (reference.offset, reference.offset + size, tensor.pointer))
            }
            let copy = arena.copy(tensor.pointer.pointee)
            set("location", to: external.name(for: reference.location), in: copy)
            rewrite.tensors[tensor.pointer] = copy
        }
        var overlapping: Set<UnsafePointer<Onnx__TensorProto>> = []
        for (_, list) in ranges {
            let list = list.sorted { $0.start < $1.start }
            var furthest = list[0]
            for range in list.dropFirst() {
                if range.start < furthest.end { overlapping.formUnion([range.tensor, furthest.tensor]) }
                if range.end > furthest.end { furthest = range }
            }
        }
        return overlapping
    }

    private mutating func replace(
        _ name: String, with values: TensorValues, _ overlapping: Set<UnsafePointer<Onnx__TensorProto>>
    ) throws(ONNXFormatError) {
        let (source, data) = try encoding(of: values, like: name)
        guard values.count > 0 else { return }
        if ExternalReference.isExternal(source) {
            let reference = try ExternalReference(source, at: "\(model.displayName), tensor '\(name)'")
            removeChecksum(of: rewrite.tensors[source]!)
            guard overlapping.contains(source) else {
                external.replace(reference.location, at: reference.offset, with: data)
                return
            }
            // Writing in place would change the other tensor.
            let offset = external.append(data, to: reference.location)
            set("offset", to: String(offset), in: rewrite.tensors[source]!)
            return
        }
        let copy = arena.copy(source.pointee)
        if source.pointee.raw_data.len > 0 {
            copy.pointee.raw_data = arena.bytes(data)
        } else {
            let values = try values.load()
            switch data.type {
            case .float32: copy.pointee.float_data = arena.array(of: values)
            case .float64: copy.pointee.double_data = arena.array(of: values.map(Double.init))
            case .float16: copy.pointee.int32_data = arena.array(of: values.map { Int32(Float16($0).bitPattern) })
            default: copy.pointee.int32_data = arena.array(of: values.map { Int32($0.bfloat16BitPattern) })
            }
        }
        rewrite.tensors[source] = copy
    }

    /// The named tensor, and `values` on their way into its type; checks that both fit.
    private func encoding(
        of values: TensorValues, like name: String
    ) throws(ONNXFormatError) -> (UnsafePointer<Onnx__TensorProto>, TensorEncoding) {
        guard let source = named[name] else {
            throw invalid("there is no initializer or constant '\(name)'")
        }
        let storage = try TensorStorage(source, external: model.externalFiles, at: model.displayName)
        guard storage.type.isTrainable else { throw invalid("'\(name)' holds \(storage.type) elements, not floats") }
        guard storage.count == values.count else {
            throw invalid("'\(name)' has \(storage.count) elements, and \(values.count) are to be written")
        }
        return (source, TensorEncoding(values: values, type: storage.type))
    }

    private mutating func rewire(_ edits: ONNXEdits) throws(ONNXFormatError) {
        let graph = model.tree.root.pointee.graph.pointee
        let added = Set(
            edits.additions.map(\.name) + edits.insertions.tensors.map(\.name)
                + edits.insertions.nodes.flatMap(\.outputs))
        let initializers = Set(messages(graph.initializer, graph.n_initializer).map { text($0.pointee.name) })
        for rewiring in edits.rewirings {
            guard (0..<graph.n_node).contains(rewiring.node),
                (0...graph.node[rewiring.node]!.pointee.n_input).contains(rewiring.input)
            else { throw invalid("node \(rewiring.node) has no input \(rewiring.input)") }
            guard added.contains(rewiring.name) || initializers.contains(rewiring.name) else {
                throw invalid("there is no initializer '\(rewiring.name)' to read")
            }
            let copy = changeable(UnsafePointer(graph.node[rewiring.node]!))
            let name = arena.string(rewiring.name)
            if rewiring.input == copy.pointee.n_input {
                copy.pointee.input = arena.array(copy.pointee.input, copy.pointee.n_input, adding: [name])
                copy.pointee.n_input += 1
            } else {
                copy.pointee.input[rewiring.input] = name
            }
        }
    }

    /// A node's copy, whose inputs and outputs may be written.
    mutating func changeable(_ node: UnsafePointer<Onnx__NodeProto>) -> UnsafeMutablePointer<Onnx__NodeProto> {
        if let earlier = rewrite.nodes[node] { return earlier }
        let copy = arena.copy(node.pointee)
        copy.pointee.input = arena.array(node.pointee.input, node.pointee.n_input)
        copy.pointee.output = arena.array(node.pointee.output, node.pointee.n_output)
        rewrite.nodes[node] = copy
        return copy
    }

    private mutating func add(
        _ additions: [ONNXEdits.Addition], to root: UnsafeMutablePointer<Onnx__ModelProto>
    ) throws(ONNXFormatError) {
        guard !additions.isEmpty else { return }
        var names = model.valueNames
        var graph = root.pointee.graph.pointee
        var tensors: [UnsafeMutablePointer<Onnx__TensorProto>?] = []
        var inputs: [UnsafeMutablePointer<Onnx__ValueInfoProto>?] = []
        for addition in additions {
            guard !addition.name.isEmpty, names.insert(addition.name).inserted else {
                throw invalid("the name '\(addition.name)' is taken; a new initializer needs its own")
            }
            let (source, data) = try encoding(of: addition.values, like: addition.like)
            let copy = arena.copy((rewrite.tensors[source] ?? UnsafeMutablePointer(mutating: source)).pointee)
            copy.pointee.name = arena.string(addition.name)
            if ExternalReference.isExternal(source) {
                let location = try ExternalReference(source, at: model.displayName).location
                removeChecksum(of: copy)
                set("offset", to: String(external.append(data, to: location)), in: copy)
            } else {
                copy.pointee.n_float_data = 0
                copy.pointee.n_double_data = 0
                copy.pointee.n_int32_data = 0
                copy.pointee.has_raw_data = 1
                copy.pointee.raw_data = arena.bytes(data)
            }
            tensors.append(copy)
            // Up to IR version 3 every initializer is a graph input as well.
            let input = messages(graph.input, graph.n_input).first { text($0.pointee.name) == addition.like }
            if model.irVersion < 4, let input {
                let copy = arena.copy(input.pointee)
                copy.pointee.name = arena.string(addition.name)
                inputs.append(copy)
            }
        }
        graph.initializer = arena.array(graph.initializer, graph.n_initializer, adding: tensors)
        graph.n_initializer += tensors.count
        graph.input = arena.array(graph.input, graph.n_input, adding: inputs)
        graph.n_input += inputs.count
        root.pointee.graph = arena.copy(graph)
    }

    private func removeMetadata(_ keys: Set<String>, in root: UnsafeMutablePointer<Onnx__ModelProto>) {
        guard !keys.isEmpty else { return }
        let entries = messages(root.pointee.metadata_props, root.pointee.n_metadata_props)
        let kept = entries.filter { !keys.contains(text($0.pointee.key)) }
        root.pointee.metadata_props = arena.array(of: kept.map { UnsafeMutablePointer(mutating: $0) })
        root.pointee.n_metadata_props = kept.count
    }

    private func setMetadata(_ entries: [ONNXMetadataEntry], in root: UnsafeMutablePointer<Onnx__ModelProto>) {
        for entry in entries {
            set(entry.key, to: entry.value, in: &root.pointee.metadata_props, &root.pointee.n_metadata_props)
        }
    }

    private func set(_ key: String, to value: String, in tensor: UnsafeMutablePointer<Onnx__TensorProto>) {
        set(key, to: value, in: &tensor.pointee.external_data, &tensor.pointee.n_external_data)
    }

    /// An optional entry that holds for the old bytes only.
    private func removeChecksum(of tensor: UnsafeMutablePointer<Onnx__TensorProto>) {
        let entries = messages(tensor.pointee.external_data, tensor.pointee.n_external_data)
        let kept = entries.filter { text($0.pointee.key) != "checksum" }
        tensor.pointee.external_data = arena.array(of: kept.map { UnsafeMutablePointer(mutating: $0) })
        tensor.pointee.n_external_data = kept.count
    }

    /// Replaces every entry of that key, or appends one; the old array is left alone.
    func set(
        _ key: String, to value: String,
        in array: inout UnsafeMutablePointer<UnsafeMutablePointer<Onnx__StringStringEntryProto>?>!, _ count: inout Int
    ) {
        let copy = arena.array(array, count)
        var isFound = false
        for index in 0..<count where text(copy[index]!.pointee.key) == key {
            copy[index] = arena.copy(copy[index]!.pointee)
            copy[index]!.pointee.value = arena.string(value)
            isFound = true
        }
        array = copy
        guard !isFound else { return }
        var entry = Onnx__StringStringEntryProto()
        onnx__string_string_entry_proto__init(&entry)
        entry.key = arena.string(key)
        entry.value = arena.string(value)
        array = arena.array(copy, count, adding: [arena.copy(entry)])
        count += 1
    }

    func invalid(_ message: String) -> ONNXFormatError {
        ONNXFormatError(.invalidEdit, message, at: model.displayName)
    }
}
